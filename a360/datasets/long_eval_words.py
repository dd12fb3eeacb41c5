"""The words of LongEval's cases, written for this project: names of lines, topics, what is said."""

import re

ADJECTIVES = tuple(
    re.findall(
        r"\w+",
        """
    able amber ample brave brisk broad calm chief civil clear close cold crisp curious dapper deep early eager
    even exact fair famous fast fine firm flat fond fresh gentle glad grand great green happy heavy humble
    jolly keen kind large late lean light lively loyal lucky mellow mild modest narrow neat noble odd patient
    plain polite proud quick quiet rapid rare ready rich ripe robust round rugged sharp shy silent simple slow
    small smooth solid steady still strong sunny swift tall tender tidy tough true vivid warm wide wild wise
    """,
    )
)
NOUNS = tuple(
    re.findall(
        r"\w+",
        """
    acorn anchor anvil apron arrow badger barrel basket beacon bench bridge bucket button cabin candle canoe
    castle cedar chapel chisel cliff clover comet copper cradle dagger donkey drum eagle engine falcon feather
    fiddle forest garden goblet hammer harbor hedge heron island ivy jacket kettle ladder lantern lemon lizard
    magnet maple marble meadow mitten needle nugget oar orchard otter paddle pebble pencil pillow planet
    plough quarry quilt rabbit raven ribbon river saddle sail shovel spoon statue teapot thimble ticket
    timber tower trumpet tunnel turnip valley violin wagon walnut whistle willow window
    """,
    )
)
TOPICS = (
    "the history of lighthouses",
    "how bread is baked at home",
    "the migration of birds, above all storks",
    "learning to play the violin",
    "why leaves change their colour",
    "the building of stone bridges",
    "keeping bees on a roof",
    "the rules of chess",
    "travelling by night train",
    "growing tomatoes, peppers and beans",
    "the invention of the telescope",
    "how glass is blown",
    "the life of deep sea fish",
    "repairing an old bicycle",
    "the making of paper",
    "sailing across a large lake",
    "the phases of the moon",
    "writing letters by hand",
    "the taming of horses",
    "how volcanoes erupt",
    "the art of weaving carpets",
    "preparing for a marathon",
    "the work of a village doctor",
    "old maps, and the mistakes in them",
    "the sound of church bells",
    "choosing a pair of hiking boots",
    "the language of bees",
    "how clocks were wound",
    "the taste of different salts",
    "painting a landscape in winter",
    "the origin of the potato",
    "training a young dog",
    "the design of a public park",
    "how caves are formed",
    "the first flights in balloons",
    "folding figures from a sheet",
)
OPENERS = (
    "I would like to talk with you about {topic}. What should I know first?",
    "Let us begin with {topic}. Can you tell me something about it?",
    "Thank you. Now I would like to talk about {topic}.",
    "That is enough of it. What about {topic}?",
    "Let us change the subject: tell me about {topic}.",
    "Something else came to my mind, {topic}. What do you think of it?",
)
REPLIES = (
    "There is more to say about it than most people expect, and a good beginning is to watch somebody who "
    "has done it for years.",
    "Gladly. People have written whole books about it, yet the most important things fit on a single page.",
    "It looks simple from far away. Whoever looks closer finds that patience matters more than talent.",
    "A neighbour of mine says that one understands it only after the third attempt, and I believe that he is "
    "right.",
    "Opinions differ here. Some would start with the tools, others with the history, and both are right.",
    "One should not forget the weather: a dry summer or a long winter changes nearly everything about it.",
    "In short, take your time, write down what you notice, and compare your notes after a few weeks.",
    "It is a fine thing to share with friends, for four eyes see more than two.",
)
FOLLOW_UPS = (
    "Is there a mistake that beginners make again and again?",
    "How long does it take until one knows enough?",
    "Who would be a good person to ask about it?",
    "What would you tell a child who wants to know more?",
    "Does it cost much?",
    "Was it different a hundred years ago?",
)
