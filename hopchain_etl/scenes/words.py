"""Plain English words of 3 to 9 letters that everyone can spell.

Left out: words that OCR misread in Pillow's font, with an initial I or an rn (Ivory, barn) and Tulip.
"""

from __future__ import annotations

_PLAIN = """
almond anchor apple apron arrow autumn badge bagel baker banana basil basket beach bean bear beaver berry bread
breeze bridge bronze brook broom brown butter cabbage cable cactus camel camera canary candle canoe canvas
carbon carrot castle cedar cello cement cherry chess chest cobra cocoa coconut comet copper coral cotton crane
cream crow crown daisy dancer desert diamond doctor dragon drum duck eagle earth ember engine falcon farmer
feather fiddle finch forest fox garden garnet ginger giraffe goose grape gravel hammer harbor harvest hazel
heron honey horse hotel jacket jaguar jasmine jungle kettle kitten lagoon lantern laurel lemon leopard lobster
lotus magnet mango maple marble market meadow melon mint mirror monkey mountain mustard nectar needle nutmeg oak
oat ocean olive onion orange orchard otter owl oyster paddle panda paper parrot peach peanut pear pebble pencil
pepper piano pigeon planet plum pocket poppy potato prairie puzzle quartz rabbit radish raven river robin rocket
rose ruby sailor salmon sandal sauce school shadow shelter shrimp spice spruce square stone storm summer sunset
swan tea temple tennis thunder timber tomato tractor trout turtle valley vanilla velvet violet wagon walnut
water whale wheat window winter wolf yogurt zebra
"""

WORDS: tuple[str, ...] = tuple(_PLAIN.split())
