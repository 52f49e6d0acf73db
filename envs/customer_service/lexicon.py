"""The words that scenes are peopled and stocked with: names, goods, streets and towns, all invented.

The order matters. The first sixteen of each list are the short words of easy scenes; on the other difficulties
entries at even places belong to the train split and entries at odd places to the test split.
"""

from __future__ import annotations

# fmt: off
FIRST_NAMES: tuple[str, ...] = (
    "Noah", "Maya", "Liam", "Lucy", "Oscar", "Nina", "Felix", "Clara",
    "Simon", "Laura", "Peter", "Julia", "Victor", "Emma", "Hugo", "Sofia",
    "Amir", "Ingrid", "Tomas", "Priya", "Kenji", "Leila", "Mateo", "Freya",
    "Anton", "Yasmin", "Diego", "Helena", "Idris", "Marta", "Callum", "Aisha",
    "Rafael", "Bianca", "Stefan", "Naomi", "Tobias", "Camille", "Dmitri", "Esther",
    "Fergus", "Gabriela", "Hassan", "Imogen", "Jonas", "Keiko", "Lorenzo", "Miriam",
    "Nikhil", "Odette", "Pascal", "Ramona", "Samir", "Tamsin", "Ulrich", "Vivian",
    "Wesley", "Xenia", "Yusuf", "Zofia", "Adrian", "Beatrice", "Cyrus", "Daphne",
)
LAST_NAMES: tuple[str, ...] = (
    "Novak", "Lopez", "Walsh", "Doyle", "Singh", "Meyer", "Costa", "Burke",
    "Patel", "Nolan", "Keller", "Ortiz", "Quinn", "Larsen", "Hayes", "Cohen",
    "Abbott", "Adeyemi", "Andersson", "Bauer", "Bianchi", "Brandt", "Castillo", "Chowdhury",
    "Connolly", "Dalgaard", "Delgado", "Dubois", "Eriksen", "Farouk", "Fitzgerald", "Fontaine",
    "Gallagher", "Ghosh", "Gutierrez", "Halvorsen", "Hashimoto", "Henriksen", "Ibrahim", "Ivanova",
    "Jankowski", "Kaplan", "Kowalski", "Lindqvist", "Marchetti", "Mendoza", "McKenna", "Nakamura",
    "Nwosu", "Okafor", "Olsen", "Pereira", "Petrov", "Ramirez", "Rossi", "Sandoval",
    "Schneider", "Sorensen", "Takahashi", "Thornton", "Vasquez", "Vogel", "Winslow", "Zielinski",
)

SIZES = ("S", "M", "L", "XL")
BRIGHT = ("red", "blue", "green", "yellow")
CALM = ("black", "white", "grey", "brown")
MIXED = ("red", "blue", "black", "white", "grey")
CLOTH = ("cotton", "wool", "linen", "silk")
SOLID = ("oak", "pine", "steel", "glass")
SHAPES = ("round", "square", "oval")
SCENTS = ("lemon", "vanilla", "cedar", "lavender", "jasmine")

Good = tuple[str, dict[str, tuple[str, ...]], int, int]
"""A noun, its option axes with their values, and the lowest and highest base price in cents."""

GOODS: tuple[Good, ...] = (
    ("shirt", {"color": BRIGHT, "size": SIZES}, 1200, 4800),
    ("lamp", {"color": CALM, "material": SOLID}, 2400, 9600),
    ("mug", {"color": MIXED}, 600, 1800),
    ("bag", {"color": CALM, "size": SIZES}, 1800, 8400),
    ("chair", {"color": CALM, "material": SOLID}, 4500, 18000),
    ("scarf", {"color": BRIGHT, "material": CLOTH}, 900, 4200),
    ("desk", {"color": CALM, "size": SIZES}, 9000, 32000),
    ("jacket", {"color": MIXED, "size": SIZES}, 3900, 16000),
    ("pillow", {"size": SIZES, "material": CLOTH}, 1100, 4900),
    ("rug", {"color": BRIGHT, "shape": SHAPES}, 3600, 21000),
    ("clock", {"color": CALM, "shape": SHAPES}, 1500, 7200),
    ("vase", {"color": BRIGHT, "size": SIZES}, 1300, 6100),
    ("blanket", {"color": MIXED, "material": CLOTH}, 1900, 8800),
    ("kettle", {"color": MIXED}, 2200, 7900),
    ("towel", {"color": BRIGHT, "size": SIZES}, 700, 2900),
    ("stool", {"color": CALM, "material": SOLID}, 2700, 9900),
    ("sweater", {"color": BRIGHT, "size": SIZES}, 2500, 9800),
    ("backpack", {"color": MIXED, "size": SIZES}, 3200, 12500),
    ("raincoat", {"color": BRIGHT, "size": SIZES}, 4100, 14500),
    ("bathrobe", {"color": CALM, "size": SIZES}, 2900, 8700),
    ("cushion", {"color": MIXED, "shape": SHAPES}, 1000, 4400),
    ("curtain", {"color": CALM, "material": CLOTH}, 2100, 9300),
    ("bookshelf", {"size": SIZES, "material": SOLID}, 6500, 29000),
    ("teapot", {"color": BRIGHT, "size": SIZES}, 1700, 6800),
    ("wallet", {"color": CALM}, 1600, 7600),
    ("umbrella", {"color": MIXED}, 1200, 5200),
    ("sofa", {"color": MIXED, "material": CLOTH}, 29000, 98000),
    ("mirror", {"size": SIZES, "shape": SHAPES}, 2600, 15500),
    ("notebook", {"color": BRIGHT, "size": SIZES}, 400, 2100),
    ("suitcase", {"color": CALM, "size": SIZES}, 5600, 24000),
    ("candle", {"scent": SCENTS}, 500, 2700),
    ("apron", {"color": MIXED, "material": CLOTH}, 1100, 3900),
    ("hoodie", {"color": MIXED, "size": SIZES}, 2800, 8900),
    ("cardigan", {"color": CALM, "size": SIZES}, 3100, 11200),
    ("speaker", {"color": MIXED}, 3500, 19900),
    ("hammock", {"color": BRIGHT, "material": CLOTH}, 3300, 11900),
    ("lantern", {"color": CALM, "size": SIZES}, 1400, 5900),
    ("tent", {"color": BRIGHT, "size": SIZES}, 8900, 42000),
    ("picnic basket", {"size": SIZES, "shape": SHAPES}, 2300, 8100),
    ("planter", {"size": SIZES, "shape": SHAPES}, 1300, 7700),
    ("drinking flask", {"color": MIXED, "size": SIZES}, 900, 3400),
    ("toaster", {"color": MIXED}, 2900, 9400),
    ("frying pan", {"size": SIZES, "color": CALM}, 2400, 8600),
    ("cutting board", {"size": SIZES, "material": SOLID}, 1200, 5600),
    ("yoga mat", {"color": BRIGHT}, 1500, 6400),
    ("cycle helmet", {"color": BRIGHT, "size": SIZES}, 3400, 13200),
    ("soap dish", {"shape": SHAPES, "material": SOLID}, 600, 2300),
    ("bedspread", {"color": CALM, "material": CLOTH}, 3800, 14900),
)

STYLES: tuple[str, ...] = (
    "classic", "modern", "striped", "spotted", "vintage", "rustic", "elegant", "sturdy",
    "retro", "sleek", "urban", "coastal", "floral", "dotted", "festive", "royal",
    "bohemian", "minimalist", "artisan", "contemporary", "geometric", "handmade", "marbled", "ornate",
    "premium", "stylish", "traditional", "tropical", "botanical", "nautical", "speckled", "timeless",
)

STREETS: tuple[str, ...] = (
    "Mill Lane", "Park Road", "High Street", "Elm Avenue", "Church Lane", "Station Road", "Hill Street", "River Road",
    "Garden Lane", "Lake Avenue", "Bridge Street", "School Lane", "Market Street", "Forest Road", "Field Lane",
    "Castle Street",
    "Orchard Close", "Harbour View", "Chestnut Drive", "Meadow Way", "Willow Crescent", "Abbey Terrace",
    "Quarry Rise", "Juniper Court", "Lighthouse Walk", "Foundry Row", "Sycamore Gardens", "Cobbler Alley",
    "Heron Place", "Granary Wharf", "Bramble Path", "Beech Drive",
    "Saddler Yard", "Primrose Hollow", "Windmill Rise", "Kingfisher Way", "Observatory Road", "Maple Grove",
    "Tannery Street", "Larkspur Close", "Viaduct Road", "Poplar Terrace", "Ferry Landing", "Hawthorn Mews",
    "Turnpike Road", "Buttermere Crescent", "Signal Court", "Weaver Square",
)

PLACES: tuple[tuple[str, str, str], ...] = (
    ("Fairview", "TX", "USA"), ("Weston", "KT", "UK"), ("Milford", "NY", "USA"), ("Newport", "DV", "UK"),
    ("Oakdale", "TX", "USA"), ("Ashby", "KT", "UK"), ("Lakeside", "NY", "USA"), ("Norwick", "DV", "UK"),
    ("Riverton", "TX", "USA"), ("Kirkby", "KT", "UK"), ("Hillcrest", "NY", "USA"), ("Marston", "DV", "UK"),
    ("Springdale", "TX", "USA"), ("Larkby", "KT", "UK"), ("Bayview", "NY", "USA"), ("Fenby", "DV", "UK"),
    ("Kestrel Falls", "WA", "USA"), ("Thornbury Heath", "YK", "UK"), ("Elk Hollow", "MT", "USA"),
    ("Great Wenlow", "NF", "UK"), ("Port Averill", "BC", "CA"), ("Ballycarra", "GY", "IE"),
    ("Ironbark Creek", "QLD", "AU"), ("Kaiwhero", "WKO", "NZ"), ("Juniper Flats", "NV", "USA"),
    ("Little Ambrey", "WR", "UK"), ("Saltmarsh", "NC", "USA"), ("Dunmorran", "CK", "IE"),
    ("Maple Narrows", "NB", "CA"), ("Wattle Ridge", "NSW", "AU"), ("Prairie Bend", "KS", "USA"),
    ("Otterleigh", "SY", "UK"), ("Copper Mesa", "AZ", "USA"), ("Glenhallow", "FK", "UK"),
    ("Pelican Shoals", "FL", "USA"), ("Tarrock Bay", "TAS", "AU"), ("Birch Portage", "MB", "CA"),
    ("Rathvale", "KY", "IE"), ("Sunfield Junction", "CO", "USA"), ("Upper Hexby", "LN", "UK"),
    ("Heron Landing", "VT", "USA"), ("Matarua", "OTA", "NZ"), ("Granite Pass", "NH", "USA"),
    ("Wychcombe", "SM", "UK"), ("Sablewood", "WI", "USA"), ("Fort Ellery", "SK", "CA"),
    ("Bluestem", "NE", "USA"), ("Crannoch", "HL", "UK"),
)

MAIL_DOMAINS: tuple[str, ...] = (
    "post.example", "mail.example", "inbox.example", "letters.example",
    "parcel.example", "home.example", "note.example", "web.example",
)
