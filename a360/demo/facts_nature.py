"""Facts about living things, matter, numbers and the sky."""

from a360.demo.facts import glossary, table

YOUNG_ANIMALS = table(
    "Young animals",
    """
    dog: puppy
    cat: kitten
    cow: calf
    sheep: lamb
    goat: kid
    horse: foal
    duck: duckling
    goose: gosling
    frog: tadpole
    swan: cygnet
    deer: fawn
    kangaroo: joey
    """,
    ask="What is a young {term} called?",
    back="Which animal grows from a {value}?",
    state="a young {term} is called a {value}.",
    check="is a young {term} called a {value}",
)

ANIMAL_CLASSES = table(
    "Classes of animals",
    """
    frog: the amphibians
    salmon: the fish
    eagle: the birds
    bat: the mammals
    snake: the reptiles
    ant: the insects
    spider: the arachnids
    crab: the crustaceans
    whale: the mammals
    penguin: the birds
    lizard: the reptiles
    newt: the amphibians
    """,
    ask="Which class of animals does the {term} belong to?",
    back=None,
    state="the {term} belongs to {value}.",
    check="does the {term} belong to {value}",
)

SYMBOLS = table(
    "Symbols of the elements",
    """
    oxygen: O
    hydrogen: H
    carbon: C
    nitrogen: N
    iron: Fe
    gold: Au
    silver: Ag
    sodium: Na
    lead: Pb
    tin: Sn
    copper: Cu
    helium: He
    """,
    ask="What is the symbol of {term}?",
    back="Which element has the symbol {value}?",
    state="the symbol of {term} is {value}.",
    check="is {value} the symbol of {term}",
)

ATOMIC_NUMBERS = table(
    "Atomic numbers",
    """
    hydrogen: 1
    helium: 2
    lithium: 3
    carbon: 6
    nitrogen: 7
    oxygen: 8
    neon: 10
    sodium: 11
    iron: 26
    copper: 29
    silver: 47
    gold: 79
    """,
    ask="What is the atomic number of {term}?",
    back="Which element has the atomic number {value}?",
    state="the atomic number of {term} is {value}.",
    check="is {value} the atomic number of {term}",
)

CHEMISTRY = glossary(
    "Chemistry",
    """
    an acid: a substance that gives away protons
    a base: a substance that takes up protons
    an ion: an atom with a charge
    a molecule: a group of bonded atoms
    a catalyst: a substance that speeds a reaction up
    a solvent: a liquid that dissolves things
    combustion: a reaction that burns fuel with oxygen
    rust: iron that has reacted with oxygen and water
    an isotope: an atom with another number of neutrons
    evaporation: the change of a liquid into a gas
    """,
)

PLANETS = table(
    "Planets",
    """
    Mercury: first
    Venus: second
    Earth: third
    Mars: fourth
    Jupiter: fifth
    Saturn: sixth
    Uranus: seventh
    Neptune: eighth
    """,
    ask="Which place from the Sun has {term}?",
    back="Which planet is the {value} from the Sun?",
    state="{term} is the {value} planet from the Sun.",
    check="is {term} the {value} planet from the sun",
)

ORGANS = table(
    "Organs of the body",
    """
    the heart: pumping blood
    the lungs: taking in air
    the kidneys: cleaning the blood
    the stomach: digesting food
    the brain: thinking
    the ear: hearing
    the eye: seeing
    the nose: smelling
    the skin: covering the body
    the tongue: tasting
    the bones: holding the body up
    """,
    ask="What is the work of {term}?",
    back="Which part of the body is for {value}?",
    state="the work of {term} is {value}.",
    check="is {value} the work of {term}",
)

HEALTH = glossary(
    "Health",
    """
    a fever: a body temperature that is too high
    a fracture: a broken bone
    anaemia: a lack of red blood cells
    a bandage: a strip of cloth around a wound
    a pulse: the beat of the heart felt at the wrist
    an allergy: a strong reaction to a harmless thing
    a scar: a mark left by a wound
    surgery: the treatment of the body by cutting
    insomnia: a lack of sleep
    dehydration: a lack of water in the body
    a stethoscope: a tool for hearing the heart
    """,
)

FOOD = table(
    "Foods and what they hold",
    """
    an orange: vitamin C
    milk: calcium
    fish oil: vitamin D
    spinach: iron
    beans: protein
    bread: starch
    butter: fat
    a banana: potassium
    table salt: sodium
    bran: fibre
    """,
    ask="Of which nutrient is {term} a good source?",
    back="What is a good source of {value}?",
    state="a good source of {value} is {term}.",
    check="is {term} a good source of {value}",
)

LIFE_STAGES = glossary(
    "Stages of life",
    """
    an embryo: a human in the first weeks before birth
    a newborn: a baby just after birth
    a toddler: a child that learns to walk
    an adolescent: a person between child and adult
    an adult: a fully grown person
    a centenarian: a person of a hundred years
    puberty: the time when the body becomes adult
    pregnancy: the nine months before a birth
    retirement: the end of a working life
    a twin: one of two children born together
    """,
)

GENETICS = glossary(
    "Cells and genes",
    """
    a gene: a piece of DNA with one instruction
    a chromosome: a long thread of DNA
    a mutation: a change in a gene
    a virus: a germ that needs a host cell
    a vaccine: a training of the body against a germ
    an antibody: a protein that binds a germ
    a bacterium: a living thing of one cell without a nucleus
    an enzyme: a protein that speeds reactions up
    a clone: a copy with the same genes
    photosynthesis: the making of sugar with light
    """,
)

UNITS = table(
    "Units of measurement",
    """
    force: the newton
    energy: the joule
    power: the watt
    pressure: the pascal
    frequency: the hertz
    temperature: the kelvin
    length: the metre
    mass: the kilogram
    time: the second
    angle: the radian
    """,
    ask="What is the unit of {term}?",
    back="What is measured in {value}?",
    state="the unit of {term} is {value}.",
    check="is {value} the unit of {term}",
)

PHYSICS = glossary(
    "Physics",
    """
    speed: distance divided by time
    acceleration: the change of velocity with time
    friction: a force that slows sliding things
    gravity: the pull between masses
    density: mass divided by volume
    a vacuum: space without matter
    a lens: a piece of glass that bends light
    an echo: sound that comes back from a wall
    inertia: the tendency to keep moving as before
    radiation: energy that travels as waves or particles
    """,
)

ELECTRICITY = glossary(
    "Electricity",
    """
    a battery: a store of electric energy
    a fuse: a wire that melts to break a circuit
    a resistor: a part that limits current
    a capacitor: a part that stores charge
    a transformer: a device that changes voltage
    a motor: a machine that turns current into motion
    a generator: a machine that turns motion into current
    an insulator: a material that carries no current
    a switch: a part that opens and closes a circuit
    a diode: a part that lets current pass one way
    """,
)

ASTRONOMY = glossary(
    "Astronomy",
    """
    a star: a ball of glowing gas
    a moon: a body that circles a planet
    a galaxy: a system of many stars
    a comet: a ball of ice and dust with a tail
    an eclipse: the passing of one body through another's shadow
    a telescope: an instrument for seeing far things
    an orbit: the path of one body around another
    a meteor: a streak of light from falling dust
    a light year: the distance light travels in a year
    a crater: a hole made by an impact
    """,
)

SHAPES = table(
    "Shapes",
    """
    a triangle: three
    a square: four
    a pentagon: five
    a hexagon: six
    a heptagon: seven
    an octagon: eight
    a nonagon: nine
    a decagon: ten
    """,
    ask="How many sides has {term}?",
    back="Which shape has {value} sides?",
    state="{term} has {value} sides.",
    check="does {term} have {value} sides",
)

SQUARES = table(
    "Square numbers",
    """
    2: 4
    3: 9
    5: 25
    6: 36
    7: 49
    8: 64
    9: 81
    10: 100
    11: 121
    12: 144
    """,
    ask="What is {term} times {term}?",
    back="Which number times itself is {value}?",
    state="the square of {term} is {value}.",
    check="is {value} the square of {term}",
)

ALGEBRA = glossary(
    "Algebra",
    """
    a group: a set with an associative operation and inverses
    a prime: a number with two divisors
    an integral: the limit of sums under a curve
    a derivative: the slope of a curve at a point
    a matrix: a table of numbers in rows and columns
    a vector: a quantity with a direction
    a polynomial: a sum of powers of a variable
    a ring: a set with addition and multiplication
    a field: a ring in which one can divide
    a proof: an argument that leaves no doubt
    """,
)

STATISTICS = glossary(
    "Statistics",
    """
    the mean: the sum divided by the count
    the median: the middle value
    the mode: the most frequent value
    the range: the largest less the smallest value
    a sample: a part taken from a population
    an outlier: a value far from the others
    a histogram: a chart of counts in bins
    correlation: the degree to which two things move together
    regression: the fitting of a line to data
    variance: the mean squared distance from the mean
    """,
)

FALLACIES = glossary(
    "Fallacies",
    """
    a straw man: an attack on a claim nobody made
    a circular argument: a proof that assumes its end
    a false dilemma: a choice of two where there are more
    an ad hominem: an attack on the person
    a red herring: a change of the subject
    a slippery slope: a claim that one step leads to ruin
    a hasty generalization: a rule from too few cases
    an appeal to popularity: a claim that many believe so
    equivocation: the use of a word in two senses
    a non sequitur: an end that does not follow
    """,
)
