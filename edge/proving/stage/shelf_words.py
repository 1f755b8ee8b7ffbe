"""What a small Spanish supermarket sells, in words: the made catalogue's names are put together from these."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of shelf. `price_minor`: from (inclusive) to (exclusive)."""

    department: str
    category: str
    brands: tuple[str, ...]
    products: tuple[str, ...]
    kinds: tuple[str, ...]
    packages: tuple[str, ...]
    price_minor: tuple[int, int]


SECTIONS = (
    Section("Fresh", "Dairy", ("Prado Alto", "La Lechera del Norte", "Campo Claro"),
            ("Leche entera", "Leche semidesnatada", "Leche desnatada", "Yogur natural", "Yogur griego", "Kéfir",
             "Mantequilla", "Nata para montar", "Queso fresco", "Queso curado"),
            ("", "sin lactosa", "ecológico", "de oveja", "de cabra", "ligero"),
            ("1 l", "6 x 1 l", "4 x 125 g", "250 g", "500 ml", "200 g"), (79, 690)),
    Section("Fresh", "Fruit", ("Huerta Viva", "Sol de Levante"),
            ("Manzana", "Pera", "Naranja", "Mandarina", "Plátano de Canarias", "Uva", "Fresas", "Kiwi", "Limón"),
            ("", "extra", "ecológica", "de temporada", "en malla"), ("1 kg", "500 g", "2 kg", "1,5 kg"), (95, 499)),
    Section("Fresh", "Bakery", ("Horno San Blas", "Tahona Real"),
            ("Pan de molde", "Barra rústica", "Baguette", "Magdalenas", "Croissants", "Bizcocho", "Picos"),
            ("", "integral", "de centeno", "sin azúcar", "de mantequilla", "con semillas"),
            ("450 g", "250 g", "12 uds", "300 g"), (65, 450)),
    Section("Grocery", "Coffee and cocoa", ("Cafés Miramar", "Puerto Moka", "Valle Negro"),
            ("Café molido", "Café en grano", "Café soluble", "Cacao en polvo", "Infusión de manzanilla", "Té verde"),
            ("natural", "mezcla", "descafeinado", "intenso", "suave"), ("250 g", "500 g", "1 kg", "20 uds"),
            (149, 1290)),
    Section("Grocery", "Oil and vinegar", ("Sierra Mágina", "Olivar de la Vega"),
            ("Aceite de oliva virgen extra", "Aceite de oliva", "Aceite de girasol", "Vinagre de Jerez"),
            ("", "picual", "arbequina", "ecológico"), ("1 l", "750 ml", "5 l", "500 ml"), (139, 3990)),
    Section("Grocery", "Pasta and rice", ("Molino Blanco", "Arrozal"),
            ("Espaguetis", "Macarrones", "Fideos", "Arroz redondo", "Arroz bomba", "Cuscús", "Lentejas", "Garbanzos"),
            ("", "integrales", "sin gluten", "n.º 3", "extra"), ("500 g", "1 kg", "250 g"), (69, 490)),
    Section("Grocery", "Tins and jars", ("Conservas La Ría", "Mar de Plata"),
            ("Atún claro en aceite", "Atún al natural", "Mejillones en escabeche", "Sardinas", "Tomate frito",
             "Pimientos del piquillo", "Aceitunas rellenas", "Maíz dulce"),
            ("", "pack ahorro", "bajo en sal", "selección"), ("3 x 80 g", "120 g", "400 g", "300 g", "6 x 80 g"),
            (85, 990)),
    Section("Grocery", "Sweets", ("Dulcería Ana", "Cacao y Sal"),
            ("Chocolate negro", "Chocolate con leche", "Galletas María", "Galletas de avena", "Turrón", "Caramelos"),
            ("", "72 %", "con avellanas", "sin azúcar", "relleno"), ("100 g", "150 g", "200 g", "800 g"), (79, 650)),
    Section("Drinks", "Water and juice", ("Fuente Fría", "Zumos del Valle"),
            ("Agua mineral", "Agua con gas", "Zumo de naranja", "Zumo de piña", "Gazpacho", "Horchata", "Tónica"),
            ("", "sin azúcares añadidos", "con pulpa", "suave"), ("1,5 l", "6 x 1,5 l", "1 l", "6 x 33 cl", "2 l"),
            (45, 590)),
    Section("Drinks", "Beer and wine", ("Cervecera del Sur", "Bodegas Alcor"),
            ("Cerveza lager", "Cerveza tostada", "Cerveza 0,0", "Vino tinto crianza", "Vino blanco verdejo", "Cava"),
            ("", "especial", "reserva", "ecológico"), ("33 cl", "6 x 33 cl", "750 ml", "1 l"), (59, 1490)),
    Section("Household", "Cleaning", ("Casa Limpia", "Brisa"),
            ("Detergente líquido", "Suavizante", "Lavavajillas", "Lejía", "Limpiasuelos", "Papel de cocina"),
            ("", "marsella", "pino", "hipoalergénico", "concentrado"), ("1,5 l", "2 l", "40 uds", "1 l", "3 uds"),
            (110, 1290)),
    Section("Household", "Body care", ("Alma Suave", "Norte"),
            ("Gel de ducha", "Champú", "Pasta de dientes", "Jabón de manos", "Crema corporal", "Desodorante"),
            ("", "aloe vera", "familiar", "sensible", "sin perfume"), ("750 ml", "400 ml", "75 ml", "300 ml", "50 ml"),
            (99, 890)),
)
