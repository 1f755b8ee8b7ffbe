"""Sample files of every shape, as makers write them; `python -m tests.files.samples` writes `samples/` anew."""

from pathlib import Path

from tests.store_kit import gtin_of

DIRECTORY = Path(__file__).parent / "samples"
SKUS = ("milk", "bread", "apples", "soap")
PRICES = {"milk": 109, "bread": 179, "apples": 249, "soap": 3200}
DAY = "2026-11-23"


def _euros(price_minor: int, decimal: str = ".") -> str:
    return f"{price_minor // 100}{decimal}{price_minor % 100:02d}"


def csv_prices() -> str:
    """By `prices-csv`."""
    rows = [f"{gtin_of(sku)};{_euros(PRICES[sku], ',')};;;" for sku in SKUS]
    return "\n".join(["ean;price;from;until;action", *rows, f"TOTAL;{len(rows)};;;", ""])


def fixed_prices() -> str:
    """By `prices-fixed`."""
    rows = [f"D{gtin_of(sku):<14}{PRICES[sku]:07d}20261123" for sku in SKUS]
    return "\r\n".join(["H20261123PRICES", *rows, f"T{len(rows):06d}", ""])


def il_prices() -> str:
    """By `prices-il`: the shape of the files that Israeli chains publish."""
    items = "".join(
        f"<Item><PriceUpdateTime>2026-11-22T14:15:00</PriceUpdateTime><ItemCode>{gtin_of(sku)}</ItemCode>"
        f"<ItemType>1</ItemType><ItemName>מוצר {number}</ItemName><ManufactureName>יצרן</ManufactureName>"
        f"<UnitQty>גרם</UnitQty><Quantity>500.00</Quantity><bIsWeighted>0</bIsWeighted>"
        f"<ItemPrice>{_euros(PRICES[sku])}</ItemPrice><AllowDiscount>1</AllowDiscount><ItemStatus /></Item>\n"
        for number, sku in enumerate(SKUS, start=1))
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Root><ChainID>7290000000000</ChainID>'
            f"<SubChainID>001</SubChainID><StoreID>042</StoreID><BikoretNo>7</BikoretNo><Items>\n{items}</Items></Root>\n")


def hr_prices() -> str:
    """By `prices-hr`: the XML that Croatian chains publish; the second product is on offer."""
    products = "".join(
        f"<Proizvod><NazivProizvoda>Šećer {number}</NazivProizvoda><SifraProizvoda>{1000 + number}</SifraProizvoda>"
        f"<MarkaProizvoda/><NetoKolicina>1</NetoKolicina><JedinicaMjere>kg</JedinicaMjere>"
        f"<MaloprodajnaCijena>{'' if number == 2 else _euros(PRICES[sku])}</MaloprodajnaCijena>"
        f"<MaloprodajnaCijenaAkcija>{_euros(PRICES[sku]) if number == 2 else ''}</MaloprodajnaCijenaAkcija>"
        f"<Barkod>{gtin_of(sku)}</Barkod></Proizvod>\n" for number, sku in enumerate(SKUS, start=1))
    return (f'<?xml version="1.0" encoding="utf-8"?>\n<Proizvodi><ProdajniObjekt><Oblik>SUPERMARKET</Oblik>'
            f"<Oznaka>T042</Oznaka><Adresa>Glavna ulica 1</Adresa><BrojPohrane>1</BrojPohrane><Proizvodi>\n{products}"
            f"</Proizvodi></ProdajniObjekt></Proizvodi>\n")


def csv_sales() -> str:
    """By `sales-csv`: two sales, a return, and a void of the second."""
    milk, bread, at = gtin_of("milk"), gtin_of("bread"), "23.11.2026 11:31:07"
    rows = [f"1;23.11.2026;17;{at};{milk};2;1,98;;", f"1;23.11.2026;17;{at};{bread};1;1,89;;",
            f"1;23.11.2026;18;{at};{milk};5;4,95;;", f"1;23.11.2026;19;{at};{bread};1;1,89;R;",
            f"1;23.11.2026;20;{at};;;;V;18"]
    return "\n".join(["till;day;number;time;ean;quantity;amount;kind;voids", *rows, f"TOTAL;{len(rows)};;;;;;;", ""])


def fixed_sales() -> str:
    """By `sales-fixed`: a sale of two lines, and a return."""
    lines = [(1, "milk", 2000, 198, " "), (1, "bread", 1000, 189, " "), (2, "bread", 1000, 189, "R")]
    rows = [f"S00120261123{sequence:010d}20261123{gtin_of(sku):<14}{quantity:08d} {amount:08d}{kind}"
            for sequence, sku, quantity, amount, kind in lines]
    return "\r\n".join([*rows, f"T{len(rows):06d}", ""])


SAMPLES = {
    "prices.csv": csv_prices().encode("utf-16"),
    "prices.txt": fixed_prices().encode("cp850"),
    "prices-il.xml": il_prices().encode(),
    "prices-hr.xml": hr_prices().encode(),
    "sales.csv": csv_sales().encode(),
    "sales.txt": fixed_sales().encode("cp850"),
}


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, content in SAMPLES.items():
        (DIRECTORY / name).write_bytes(content)
