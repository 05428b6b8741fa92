"""How large a scene is: a grid of cells, each of which becomes one image token of the tiny model."""

CELL = 16  # px
GRID = 3  # cells per side
SIDE = CELL * GRID  # px
