// A Vendure server in memory and one file, for tests: sql.js needs no native build, and payments move no money.
// Environment: PORT, DATABASE (a file), ADMIN_PASSWORD. Says "vendure is ready" on standard output.
const { bootstrap, DefaultLogger, dummyPaymentHandler, LogLevel } = require('@vendure/core');

const config = {
    apiOptions: { port: Number(process.env.PORT), hostname: '127.0.0.1' },
    authOptions: {
        tokenMethod: ['bearer'],
        requireVerification: false,
        superadminCredentials: { identifier: 'superadmin', password: process.env.ADMIN_PASSWORD },
    },
    dbConnectionOptions: { type: 'sqljs', autoSave: true, location: process.env.DATABASE, synchronize: true },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
};

bootstrap(config).then(
    () => console.log('vendure is ready'),
    error => {
        console.error(error);
        process.exit(1);
    },
);
