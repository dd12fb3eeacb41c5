"""Facts about countries, history, law and society."""

from a360.demo.facts import glossary, table

CAPITALS = table(
    "Capital cities",
    """
    France: Paris
    Japan: Tokyo
    Egypt: Cairo
    Peru: Lima
    Kenya: Nairobi
    Norway: Oslo
    Cuba: Havana
    Greece: Athens
    Nepal: Kathmandu
    Ghana: Accra
    Austria: Vienna
    Portugal: Lisbon
    """,
    ask="What is the capital of {term}?",
    back="Which country has the capital {value}?",
    state="the capital of {term} is {value}.",
    check="is {value} the capital of {term}",
)

CONTINENTS = table(
    "Countries and continents",
    """
    Brazil: South America
    Canada: North America
    China: Asia
    Nigeria: Africa
    Poland: Europe
    Chile: South America
    Mexico: North America
    India: Asia
    Morocco: Africa
    Ireland: Europe
    New Zealand: Oceania
    Fiji: Oceania
    """,
    ask="On which continent is {term}?",
    back=None,
    state="{term} is a country in {value}.",
    check="is {term} a country in {value}",
)

CURRENCIES = table(
    "Currencies",
    """
    Japan: the yen
    India: the rupee
    Mexico: the peso
    Poland: the zloty
    Sweden: the krona
    Turkey: the lira
    China: the yuan
    Thailand: the baht
    Hungary: the forint
    Israel: the shekel
    Vietnam: the dong
    Brazil: the real
    """,
    ask="Which money is used in {term}?",
    back="In which country is {value} the money?",
    state="the money of {term} is {value}.",
    check="is {value} the money of {term}",
)

EUROPE = table(
    "Events in Europe",
    """
    the Battle of Hastings: 1066
    Magna Carta: 1215
    the fall of Constantinople: 1453
    the Great Fire of London: 1666
    the storming of the Bastille: 1789
    the Battle of Waterloo: 1815
    the start of the First World War: 1914
    the end of the Second World War: 1945
    the fall of the Berlin Wall: 1989
    the first euro coins in circulation: 2002
    """,
    ask="In which year was {term}?",
    back="What happened in {value}?",
    state="the year of {term} was {value}.",
    check="was {term} in {value}",
)

AMERICA = table(
    "Events in the United States",
    """
    the Declaration of Independence: 1776
    the writing of the Constitution: 1787
    the Louisiana Purchase: 1803
    the discovery of gold in California: 1848
    the start of the Civil War: 1861
    the purchase of Alaska: 1867
    the stock market crash on Wall Street: 1929
    the attack on Pearl Harbor: 1941
    the landing of Apollo 11 on the Moon: 1969
    the admission of Hawaii as a state: 1959
    """,
    ask="In which year was {term}?",
    back="What happened in {value}?",
    state="the year of {term} was {value}.",
    check="was {term} in {value}",
)

CIVILIZATIONS = table(
    "Places of the past",
    """
    the pyramids of Giza: Egypt
    the Colosseum: Italy
    the Parthenon: Greece
    Machu Picchu: Peru
    the Great Wall: China
    the Taj Mahal: India
    Angkor Wat: Cambodia
    Stonehenge: England
    Petra: Jordan
    the city of Persepolis: Iran
    """,
    ask="In which country is {term}?",
    back="Which old place is in {value}?",
    state="you find {term} in {value}.",
    check="is {term} in {value}",
)

PREHISTORY = glossary(
    "Prehistory",
    """
    flint: a hard stone for making sharp tools
    a hand axe: a stone tool held in the palm
    bronze: a metal made of copper and tin
    a cave painting: a picture on the wall of a cave
    a fossil: the remains of a living thing in rock
    a mammoth: a hairy relative of the elephant
    pottery: vessels made of baked clay
    a hunter-gatherer: a person who lives on wild food
    a megalith: a large stone set up as a monument
    a glacier: a slow river of ice
    """,
)

RELIGIONS = table(
    "Places of worship",
    """
    Islam: the mosque
    Christianity: the church
    Judaism: the synagogue
    Sikhism: the gurdwara
    Hinduism: the mandir
    Shinto: the jinja
    Zoroastrianism: the fire temple
    Buddhism: the vihara
    """,
    ask="What is a place of worship in {term}?",
    back="In which religion is {value} the place of worship?",
    state="a place of worship in {term} is {value}.",
    check="is {value} a place of worship in {term}",
)

GOVERNMENT = glossary(
    "Government",
    """
    a republic: a state without a monarch
    a monarchy: a state with a king or a queen
    a parliament: an assembly that makes laws
    an election: a choice of leaders by vote
    a veto: a power to stop a decision
    a ballot: a secret vote on paper
    a minister: the head of a department of government
    a constitution: the highest law of a state
    a coalition: several parties that govern together
    a referendum: a vote of the people on one question
    """,
)

DIPLOMACY = glossary(
    "Relations between states",
    """
    a treaty: a written agreement between states
    an embassy: the office of a state in another one
    an ambassador: the chief envoy of a state
    an alliance: a promise of states to help each other
    a border: the line between two states
    an embargo: a ban on trade with a state
    a sanction: a penalty against a state
    neutrality: the choice to take no side in a war
    a truce: a pause in fighting
    sovereignty: the right of a state to rule itself
    """,
)

SECURITY = glossary(
    "Security",
    """
    deterrence: the use of threats to prevent an attack
    an arms race: a contest in building more weapons
    disarmament: the reduction of weapons
    a blockade: the closing of a port by ships
    espionage: the secret gathering of information
    a refugee: a person who flees from danger
    peacekeeping: the watch of soldiers over a truce
    sabotage: the secret damage of an enemy's things
    a siege: the encircling of a town by an army
    a convoy: a group of ships that travel together
    """,
)

LAW = glossary(
    "Law",
    """
    a contract: an agreement that a court enforces
    a witness: a person who saw what happened
    a verdict: the decision of a jury
    a plaintiff: the person who brings a case
    a defendant: the person who is accused
    bail: money given for release before trial
    an appeal: a request to a higher court
    a will: a document about what is left at death
    theft: the taking of what belongs to another
    a fine: money paid as a punishment
    a precedent: an earlier decision that later courts follow
    """,
)

MONEY = glossary(
    "The economy",
    """
    inflation: a general rise in prices
    a tax: money that people pay to the state
    a tariff: a tax on goods from abroad
    demand: what buyers want at a price
    supply: what sellers offer at a price
    a monopoly: a market with one seller
    a recession: a time when the economy shrinks
    interest: the price of borrowed money
    a subsidy: money from the state for a producer
    unemployment: the lack of work for those who want it
    a budget: a plan for income and spending
    """,
)

BUSINESS = glossary(
    "Business",
    """
    a brand: a name that buyers know
    a customer: a person who buys
    a competitor: a firm that sells to the same buyers
    a discount: a cut in the price
    a warehouse: a building where goods are stored
    a deadline: the latest time for a task
    delegation: the passing of tasks to others
    a strategy: a plan to reach a long aim
    an advertisement: a paid message to buyers
    a bribe: a gift to win an unfair favour
    """,
)

ACCOUNTING = glossary(
    "Accounting",
    """
    revenue: the money that sales bring in
    an expense: money spent to run a business
    profit: what is left of income after costs
    an asset: a thing of value that a firm owns
    a liability: what a firm owes
    an invoice: a request for payment
    a ledger: the book in which accounts are kept
    depreciation: the loss of value as a thing wears out
    an audit: a check of the accounts
    equity: assets less liabilities
    """,
)

MEDIA = glossary(
    "Public relations",
    """
    a press release: a written statement for journalists
    an interview: a talk with questions and answers
    a headline: the large line above a story
    a rumour: a story that nobody has checked
    an audience: the people who see or hear a message
    a slogan: a short phrase to remember
    a survey: a set of questions for many people
    a spokesperson: a person who speaks for a group
    publicity: the attention of the public
    an apology: a statement of regret
    """,
)

SOCIETY = glossary(
    "Society",
    """
    a norm: a rule of conduct in a group
    a census: a count of all people
    migration: a move from one place to another
    a family: parents and their children
    a custom: a way of doing things for a long time
    urbanization: the growth of cities
    a stereotype: a simple picture of a whole group
    a minority: the smaller part of a people
    a caste: a class into which one is born
    socialization: the learning of a group's ways
    """,
)

MIND = glossary(
    "Psychology",
    """
    memory: the power to keep what was learnt
    a phobia: a strong fear of one thing
    a habit: an act done without thinking
    attention: the holding of the mind on one thing
    motivation: the reason why a person acts
    an emotion: a feeling such as joy or anger
    perception: the making of sense of what is sensed
    a reward: a good thing that follows an act
    empathy: the sharing of another's feelings
    therapy: the treatment of a troubled mind
    """,
)

ETHICS = glossary(
    "Ethics",
    """
    honesty: the habit of telling the truth
    courage: the strength to face fear
    justice: the giving to each what is due
    a promise: a word given about what one will do
    generosity: the gladness to give
    cruelty: the joy in the pain of others
    a duty: what one ought to do
    forgiveness: the letting go of a wrong
    fairness: the same treatment of like cases
    greed: the wish for more than one needs
    """,
)

THOUGHT = glossary(
    "Philosophy",
    """
    logic: the study of valid reasoning
    ontology: the study of what there is
    epistemology: the study of knowledge
    aesthetics: the study of beauty
    an axiom: a statement taken as true without proof
    scepticism: the doubt that we can know
    a paradox: a statement that seems to deny itself
    determinism: the view that all events have causes
    a syllogism: two premises with a conclusion
    utilitarianism: the view that the best act brings the most happiness
    """,
)
