"""The ten EuroSAT classes: folder name, title, one-line description and map colour."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LandCover:
    """One land-cover class.

    Attributes:
        name: Folder name in the data set and label in a model file, such as `"AnnualCrop"`.
        title: The name as people read it, such as `"Annual crop"`.
        description: One plain sentence about what stands on such land.
        colour: Map colour as `#RRGGBB`. The ten colours stay apart for people with normal,
            deuteranopic, protanopic and tritanopic vision (smallest CAM02-UCS distance 17.4).
    """

    name: str
    title: str
    description: str
    colour: str


EUROSAT_CLASSES: tuple[LandCover, ...] = (
    LandCover("AnnualCrop", "Annual crop", "Fields sown and harvested within a year.", "#FFF940"),
    LandCover("Forest", "Forest", "Closed tree cover.", "#003300"),
    LandCover(
        "HerbaceousVegetation",
        "Herbaceous vegetation",
        "Grass, herbs and low shrubs that nobody sows or grazes.",
        "#ADD575",
    ),
    LandCover("Highway", "Highway", "A wide road and the land along it.", "#524D4D"),
    LandCover(
        "Industrial", "Industrial", "Factories, warehouses and other large buildings.", "#9C6FB3"
    ),
    LandCover("Pasture", "Pasture", "Grassland that animals graze.", "#609379"),
    LandCover(
        "PermanentCrop", "Permanent crop", "Orchards, vineyards and olive groves.", "#DB8300"
    ),
    LandCover("Residential", "Residential", "Houses, gardens and the streets between.", "#C53424"),
    LandCover("River", "River", "Running water and its banks.", "#79E9FF"),
    LandCover("SeaLake", "Sea or lake", "Open water.", "#123CB4"),
)
"""The classes of EuroSAT (Helber et al. 2019) in the order of the model's outputs."""

_BY_NAME = {land_cover.name: land_cover for land_cover in EUROSAT_CLASSES}

# The scheme "muted" of Paul Tol, "Colour Schemes", SRON/EPS/TN/09-002, 2021, and a brown: none of
# EuroSAT's colours, which say something to whoever knows them.
_OTHER_COLOURS = (
    "#CC6677",
    "#332288",
    "#DDCC77",
    "#117733",
    "#88CCEE",
    "#882255",
    "#44AA99",
    "#999933",
    "#AA4499",
    "#661100",
)


def land_cover(name: str, position: int = 0) -> LandCover:
    """Return the class called `name`; a class that is not EuroSAT's gets its name as title.

    Args:
        name: Folder name or label of the class.
        position: Index of the class in its data set, which chooses the colour of a foreign class.
    """
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    return LandCover(name, name, "", _OTHER_COLOURS[position % len(_OTHER_COLOURS)])
