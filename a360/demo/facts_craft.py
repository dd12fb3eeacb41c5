"""Facts about programs, computers, tools and the calendar, and how small tasks go.

The trained model reads Python, so these are the rows in which it can come to know something.
"""

from a360.demo.facts import glossary, table

BUILTINS = table(
    "Built-in functions of Python",
    """
    len: the number of items
    sum: the total of the items
    max: the largest item
    min: the smallest item
    abs: the absolute value
    sorted: a sorted list
    open: a file object
    type: the class of an object
    range: a sequence of integers
    repr: a string for the programmer
    """,
    ask="What does the function {term} return?",
    back="Which function returns {value}?",
    state="the function {term} returns {value}.",
    check="does the function {term} return {value}",
)

KEYWORDS = table(
    "Keywords of Python",
    """
    def: defines a function
    class: defines a class
    import: loads a module
    return: leaves a function with a value
    raise: raises an exception
    try: guards against exceptions
    while: repeats while a condition is true
    for: iterates over items
    del: deletes a name
    pass: does nothing
    lambda: makes an unnamed function
    yield: gives a value from a generator
    """,
    ask="What does the statement {term} do?",
    back="Which keyword {value}?",
    state="the keyword {term} {value}.",
    check="is {term} the keyword that {value}",
)

TYPES = table(
    "Types of Python",
    """
    3: int
    2.5: float
    'a': str
    True: bool
    None: NoneType
    [1, 2]: list
    (1, 2): tuple
    {1}: set
    b'a': bytes
    2j: complex
    """,
    ask="What is the type of {term} in Python?",
    back="Which value has the type {value} in Python?",
    state="the type of {term} is {value}.",
    check="is {value} the type of {term} in python",
)

COMPUTING = glossary(
    "Computing",
    """
    a stack: a list where the last in is the first out
    a queue: a list where the first in is the first out
    a loop: a part of a program that repeats
    a variable: a name for a value
    a compiler: a program that translates programs
    a bug: a mistake in a program
    recursion: a function that calls itself
    a byte: eight bits
    a database: an ordered store of data
    an algorithm: a list of steps that solves a problem
    """,
)

COMPUTER_SECURITY = glossary(
    "Computer security",
    """
    a password: a secret word that opens an account
    a firewall: a filter between networks
    encryption: the hiding of a text with a key
    a backup: a second copy of data
    phishing: a false message that asks for secrets
    malware: a program that does harm
    a patch: a change that mends a program
    authentication: the proof of who one is
    a worm: a program that spreads by itself
    a hash: a short number made from data
    """,
)

LEARNING = glossary(
    "Machine learning",
    """
    a neuron: a sum of weighted inputs
    overfitting: a good fit to training data only
    a label: the right answer of an example
    a loss: a number for how wrong a model is
    an epoch: one pass over the training data
    a feature: an input of a model
    a gradient: the direction of steepest rise
    clustering: the grouping of similar examples
    a token: a piece of text that a model reads
    a learning rate: the size of a training step
    """,
)

TOOLS = table(
    "Tools",
    """
    a hammer: driving nails
    a saw: cutting wood
    a needle: sewing cloth
    a broom: sweeping the floor
    a spade: digging the ground
    a ruler: drawing straight lines
    a kettle: boiling water
    a ladder: climbing up
    a compass: finding north
    a clock: telling the time
    a key: opening a lock
    a thermometer: measuring heat
    """,
    ask="What is {term} for?",
    back="What do you use for {value}?",
    state="you use {term} for {value}.",
    check="is {term} for {value}",
)

MONTHS = table(
    "Months",
    """
    January: first
    February: second
    March: third
    April: fourth
    May: fifth
    June: sixth
    July: seventh
    August: eighth
    September: ninth
    October: tenth
    November: eleventh
    December: twelfth
    """,
    ask="Which place in the year has {term}?",
    back="Which month is the {value} of the year?",
    state="{term} is the {value} month of the year.",
    check="is {term} the {value} month of the year",
)

WEEK = table(
    "Days of the week",
    """
    Monday: Tuesday
    Tuesday: Wednesday
    Wednesday: Thursday
    Thursday: Friday
    Friday: Saturday
    Saturday: Sunday
    Sunday: Monday
    """,
    ask="Which day comes after {term}?",
    back="Which day comes before {value}?",
    state="the day after {term} is {value}.",
    check="is {value} the day after {term}",
)

OPPOSITES = table(
    "Opposites",
    """
    hot: cold
    large: small
    first: last
    open: closed
    true: false
    empty: full
    before: after
    left: right
    early: late
    public: private
    """,
    ask="What is the opposite of {term}?",
    back="Which word has the opposite {value}?",
    state="the opposite of {term} is {value}.",
    check="is {value} the opposite of {term}",
)

ACTIVITIES = {
    "Reading a file": """
        The program opens the file for reading.
        It reads the lines one by one.
        It adds each line to a list.
        It closes the file at the end.
    """,
    "Calling a function": """
        The caller passes the arguments to the function.
        The function checks the types of the arguments.
        It raises an exception if a value is not valid.
        It returns the result to the caller.
    """,
    "Defining a class": """
        The class statement gives the name of the class.
        The body defines the methods of the class.
        The constructor sets the attributes of the instance.
        The instance keeps a reference to its class.
    """,
    "Importing a module": """
        The import system looks for the module by name.
        The loader reads the source of the module.
        It executes the code in a new namespace.
        The name of the module is bound in the caller.
    """,
    "Handling an error": """
        The code in the try block raises an exception.
        The interpreter looks for a matching except clause.
        The clause writes a message to the log.
        The finally block closes the connection.
    """,
    "Parsing a string": """
        The parser takes a string as its argument.
        It splits the string at each comma.
        It removes white space from each part.
        It returns a list of the parts.
    """,
    "Sending a request": """
        The client opens a socket to the server.
        It sends a request with its headers.
        It waits for the response of the server.
        It reads the body until the end.
    """,
    "Using a dictionary": """
        The program creates an empty dictionary.
        It stores a value for each key.
        It looks up a key with a default value.
        It prints the items in sorted order.
    """,
    "Testing a program": """
        The test creates an instance of the class.
        It calls the method with a known value.
        It compares the result with the expected value.
        It reports a failure if they are not equal.
    """,
    "Making tea": """
        You fill the kettle with water.
        You boil the water on the stove.
        You pour the water over the leaves.
        You wait for some minutes and drink the tea.
    """,
    "Planting a tree": """
        You dig a hole in the ground.
        You put the roots of the tree into it.
        You fill the hole with earth.
        You give the tree a lot of water.
    """,
    "Washing the dishes": """
        You fill the sink with warm water.
        You add a little soap to the water.
        You rub the plates with a sponge.
        You dry the plates with a towel.
    """,
    "Baking bread": """
        You mix flour and water in a bowl.
        You knead the dough with your hands.
        You let the dough rise for an hour.
        You bake the bread in a hot oven.
    """,
    "Posting a letter": """
        You write the letter on a sheet of paper.
        You fold the sheet and put it into an envelope.
        You write the address on the front.
        You put a stamp on it and post it.
    """,
    "Riding a bus": """
        You wait for the bus at the stop.
        You buy a ticket from the driver.
        You sit down on a free seat.
        You press the button before your stop.
    """,
    "Painting a wall": """
        You cover the floor with old paper.
        You stir the paint with a stick.
        You put the paint on with a roller.
        You let the wall dry over night.
    """,
    "Mending a tyre": """
        You take the wheel off the bicycle.
        You find the hole in the tube.
        You glue a patch over the hole.
        You pump the tyre up again.
    """,
    "Borrowing a book": """
        You look for the book in the catalogue.
        You take the book from the shelf.
        You show your card at the desk.
        You bring the book back after a month.
    """,
    "Lighting a fire": """
        You lay dry twigs on the ground.
        You put larger wood around the twigs.
        You light the twigs with a match.
        You add more wood as the fire grows.
    """,
    "Cutting hair": """
        The barber puts a cloth around your neck.
        The barber combs your wet hair.
        The barber cuts the ends with scissors.
        The barber shows you the back in a mirror.
    """,
}
