"""Ordinary nights and disasters: how many the limits refuse, beside what three published rules would have said.

The 30 disasters happened; each is generated here in its shape, at a few thousand objects. An ordinary night is one of a
school or a company: joins, leavers, changed values, a term's end, a renamed department, a first load by name.

    python benchmarks/nights.py [--nights 1000] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections import Counter
from copy import deepcopy

from datastoresync import Branch, DatastoreSyncError, Limits, Object, Tree
from datastoresync.applying.limits import Violation
from datastoresync.applying.safeguards import violations

DEPARTMENTS = [f"department {number}" for number in range(12)]
SITES = ["North", "South", "East", "West", "Hill"]


class User(Object):
    """An account."""

    _active = "active"
    name: str
    mail: str | None = None
    phone: str | None = None
    department: str = ""
    site: str = ""
    active: bool = True
    price: int = 0


class Group(Object):
    """A group of accounts."""

    _references = {"members": "users"}
    members: set[str]


class World:
    """The rows of a source and of a destination, equal at first; and the limits that somebody gave for the night."""

    def __init__(self, chance, size):
        self.chance = chance
        self.users = {}
        self.groups = {}
        self.limits = None
        for _ in range(size):
            self.join()
        for number in range(max(2, size // 25)):
            members = chance.sample(sorted(self.users), min(size, chance.randint(3, 40)))
            self.groups[f"group {number}"] = set(members)
        self.groups["admins"] = set(chance.sample(sorted(self.users), min(size, 4)))
        self.groups["everybody"] = set(self.users)
        self.before = deepcopy((self.users, self.groups))

    def join(self):
        number = f"{len(self.users) + self.chance.randrange(10**9):012}"
        self.users[number] = {
            "name": f"name {number}",
            "mail": f"{number}@school.example",
            "phone": f"+{number}" if self.chance.random() < 0.4 else None,
            "department": self.chance.choice(DEPARTMENTS),
            "site": self.chance.choices(SITES, (30, 25, 20, 15, 10))[0],
            "active": self.chance.random() < 0.95,
            "price": self.chance.randrange(100, 10_000),
        }
        return number

    def some(self, share):
        return self.chance.sample(sorted(self.users), round(share * len(self.users)))

    def leave(self, numbers):
        gone = set(numbers)
        for number in gone:
            del self.users[number]
        for members in self.groups.values():
            members.difference_update(gone)

    def sides(self):
        """Return the source and the destination, imported."""

        def rows(named):
            return [{"idnumber": key, **values} for key, values in named.items()]

        def tree(name, users, groups):
            members = [{"idnumber": key, "members": values} for key, values in groups.items()]
            branches = {
                "users": Branch(User, importer=rows(users), part="site"),
                "groups": Branch(Group, importer=members),
            }
            return +Tree(name, branches=branches)

        return tree("source", self.users, self.groups), tree("destination", *self.before)


# Ordinary nights ----------------------------------------------------------------------------------------------------


def quiet_night(world, busy=1.0):
    """Some join, some leave or are switched off, some values and memberships change."""
    chance = world.chance
    for _ in range(round(chance.random() * 0.03 * busy * len(world.users))):
        number = world.join()
        world.groups["everybody"].add(number)
        world.groups[chance.choice(sorted(world.groups.keys() - {"admins"}))].add(number)
    world.leave(world.some(chance.random() * 0.01 * busy))
    for number in world.some(chance.random() * 0.01 * busy):
        world.users[number]["active"] = False
    for number in world.some(chance.random() * 0.04 * busy):
        attribute = chance.choice(["name", "mail", "phone", "department", "price"])
        new = {"department": chance.choice(DEPARTMENTS), "price": chance.randrange(100, 10_000)}
        world.users[number][attribute] = new.get(attribute, f"new {attribute} {number}")
    for number in world.some(chance.random() * 0.005):
        world.users[number]["phone"] = None
    for name in chance.sample(sorted(world.groups), len(world.groups) // 10):
        members = world.groups[name]
        for member in chance.sample(sorted(members), len(members) // 8):
            members.discard(member)


def busy_night(world):
    """The first day of a term: many join, in new groups."""
    share = world.chance.uniform(0.05, 0.3)
    new = [world.join() for _ in range(round(share * len(world.users)))]
    world.groups["everybody"].update(new)
    for start in range(0, len(new), 25):
        world.groups[f"class of {start}"] = set(new[start : start + 25])
    quiet_night(world)


def end_of_term(world):
    """The last day of a term: a year leaves, and the groups that it had."""
    leavers = world.some(world.chance.uniform(0.05, 0.18))
    world.leave(leavers)
    for name in world.chance.sample(sorted(world.groups), len(world.groups) // 10):
        if name not in ("everybody", "admins"):
            del world.groups[name]
    quiet_night(world, 0.3)


def renamed_department(world):
    """A department gets another name, or two departments become one."""
    some = world.chance.sample(DEPARTMENTS, world.chance.randint(1, 3))
    for user in world.users.values():
        if user["department"] in some:
            user["department"] = "School of Arts"
    quiet_night(world, 0.5)


def first_load(world):
    """A new destination: empty, or with a few accounts, whose first load is allowed by name."""
    users, groups = world.before
    keep = world.chance.choice([0, 0, 5, 30])
    few = dict(list(users.items())[:keep])
    world.before = few, {name: members & few.keys() for name, members in groups.items()} if keep else {}
    if keep:
        world.limits = Limits(first_load=("users", "groups"))


NIGHTS = {quiet_night: 600, busy_night: 130, end_of_term: 130, renamed_department: 120, first_load: 20}


# Disasters ----------------------------------------------------------------------------------------------------------


def emptied(world):
    world.leave(list(world.users))
    world.groups.clear()


def lost(share):
    def lose(world):
        world.leave(world.some(share))

    return lose


def cut_off(share):
    """Lose the rows behind a place in the file."""

    def cut(world):
        world.leave(sorted(world.users)[round((1 - share) * len(world.users)) :])

    return cut


def site_lost(name, share=1.0):
    def lose(world):
        there = [number for number, user in world.users.items() if user["site"] == name]
        world.leave(there[: round(share * len(there))])

    return lose


def blanked(attribute, share=1.0):
    def blank(world):
        for number in world.some(share):
            world.users[number][attribute] = None if attribute in ("mail", "phone") else ""

    return blank


def changed(attribute, value, share=1.0):
    def change(world):
        for number in world.some(share):
            world.users[number][attribute] = value(number)

    return change


def other_keys(form, *, keeping=False):
    """Give every object another idnumber."""

    def change(world):
        old = dict(world.users) if keeping else {}
        world.users = {**old, **{form(number): user for number, user in world.users.items()}}
        world.groups = {name: {form(number) for number in members} for name, members in world.groups.items()}

    return change


def everybody_into(name):
    def add(world):
        world.groups[name] = set(world.users)

    return add


def no_members(share):
    def remove(world):
        for name in world.chance.sample(sorted(world.groups), max(1, round(share * len(world.groups)))):
            world.groups[name] = set()
        world.groups["everybody"] = set()

    return remove


def still_referred_to(world):
    """Remove what others still refer to."""
    for number in world.some(0.01):
        del world.users[number]


ENTRA = (
    "https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-sync-feature-prevent-accidental-deletes"
)
RCLONE = "https://rclone.org/bisync/"
DISASTERS = [
    (
        "GitLab.com, 2017: the data directory of the primary database removed",
        "[postmortem](https://about.gitlab.com/blog/2017/02/10/postmortem-of-database-outage-of-january-31/)",
        emptied,
    ),
    (
        "Code Spaces, 2014: an intruder deleted everything",
        "[Ars Technica](https://arstechnica.com/information-technology/2014/06/aws-console-breach-leads-to-demise-of-service-with-proven-backup-plan/)",
        emptied,
    ),
    (
        "users of Steam for Linux, 2015: a variable for a path was empty, all of their files deleted",
        "[issue 3671](https://github.com/ValveSoftware/steam-for-linux/issues/3671)",
        emptied,
    ),
    ("users of rclone: a path that was not mounted is an empty source", f"[bisync]({RCLONE})", emptied),
    (
        "users of a full refresh that overwrites: a source that gave nothing, a destination wiped",
        "[Airbyte](https://docs.airbyte.com/platform/using-airbyte/core-concepts/sync-modes/full-refresh-overwrite)",
        emptied,
    ),
    (
        "Pixar, 1998: nine tenths of Toy Story 2 deleted",
        "[Wikipedia](https://en.wikipedia.org/wiki/Toy_Story_2)",
        lost(0.9),
    ),
    (
        "MySpace, 2019: twelve years of music lost in a migration",
        "[Wikipedia](https://en.wikipedia.org/wiki/Myspace)",
        lost(0.8),
    ),
    (
        "Public Health England, 2020: the rows beyond the end of an old worksheet left out",
        "[BBC](https://www.bbc.com/news/technology-54423988)",
        cut_off(0.24),
    ),
    (
        "readers of CSV that are not strict: one unclosed quote swallows the rest",
        "[csv](https://docs.python.org/3/library/csv.html)",
        cut_off(0.6),
    ),
    (
        "users of a sniffing reader: three of four rows dropped in silence",
        "[DuckDB](https://duckdb.org/docs/stable/data/csv/auto_detection.html)",
        lost(0.75),
    ),
    ("owncloud: one domain of several not there, its users wiped", "owncloud 29796", site_lost("Hill")),
    ("users of Entra Connect: a unit unselected in a filter", f"[Microsoft]({ENTRA})", site_lost("West")),
    (
        "users of Entra Connect: a unit renamed, so that all in it are out of scope",
        f"[Microsoft]({ENTRA})",
        site_lost("East"),
    ),
    (
        "UniSuper, 2024: all of one customer deleted, since a parameter was left blank",
        "[Google](https://cloud.google.com/blog/products/infrastructure/details-of-google-cloud-gcve-incident)",
        site_lost("Hill"),
    ),
    (
        "Kyoto University, 2021: files of fourteen groups deleted by a backup script",
        "[Bleeping Computer](https://www.bleepingcomputer.com/news/security/university-loses-77tb-of-research-data-due-to-backup-error/)",
        site_lost("West", 0.8),
    ),
    (
        "Amazon S3, 2017: a mistyped command took away many more servers than it was to",
        "[Amazon](https://aws.amazon.com/message/41926/)",
        site_lost("Hill", 0.7),
    ),
    (
        "users of bumblebee, 2011: a blank in a path, /usr deleted",
        "[issue 123](https://github.com/MrMEEE/bumblebee-Old-and-abbandoned/issues/123)",
        site_lost("Hill"),
    ),
    (
        "KPMG, 2020: the rule for one person's chats applied to everybody's",
        "[The Register](https://www.theregister.com/2020/08/24/kpmg_microsoft_teams/)",
        blanked("phone"),
    ),
    (
        "owners of a Sidekick, 2009: their contacts gone",
        "[Wikipedia](https://en.wikipedia.org/wiki/2009_Sidekick_data_loss)",
        blanked("mail", 0.8),
    ),
    ("a column that the source has blank for half of all", "kind of glpi 984", blanked("phone", 0.5)),
    ("groups whose members the source did not send", "kind of opnsense 10129", no_members(0.3)),
    (
        "Google, 2009: every site marked as harmful, for a slash in a list",
        "[Google](https://googleblog.blogspot.com/2009/01/this-site-may-harm-your-computer-on.html)",
        changed("department", lambda _: "harmful"),
    ),
    (
        "sellers on Amazon, 2014: a repricing service set their prices to a penny",
        "[The Guardian](https://www.theguardian.com/money/2014/dec/14/amazon-glitch-prices-penny-repricerexpress)",
        changed("price", lambda _: 1),
    ),
    (
        "Ma.gnolia, 2009: a damaged database copied over its backup",
        "[Wikipedia](https://en.wikipedia.org/wiki/Gnolia)",
        changed("name", lambda number: f"damaged {number[::-1]}"),
    ),
    (
        "nearly half of all accounts switched off at once",
        "kind of sre-bot 507",
        changed("active", lambda _: False, 0.45),
    ),
    (
        "idnumbers in another case: accounts deleted and made anew",
        "owncloud 10914, o365-moodle 1356",
        other_keys(lambda number: f"U{number}"),
    ),
    (
        "the same people under another id, deletions being off: everybody doubled",
        "kind of ssosync 358, snipe-it 7656",
        other_keys(lambda number: number[::-1] + "x", keeping=True),
    ),
    (
        "Salesforce, 2019: a script gave users the rights to everything",
        "[ZDNet](https://www.zdnet.com/article/faulty-database-script-brings-salesforce-to-its-knees/)",
        everybody_into("admins"),
    ),
    (
        "users of npm, 2016: left-pad removed, to which thousands of packages referred",
        "[Wikipedia](https://en.wikipedia.org/wiki/Npm_left-pad_incident)",
        still_referred_to,
    ),
    (
        "Atlassian, 2022: 883 sites of some 200,000 deleted, for a list of the wrong ids",
        "[review](https://www.atlassian.com/engineering/post-incident-review-april-2022-outage)",
        lost(0.004),
    ),
]


# What others would have said ----------------------------------------------------------------------------------------

RULES = {
    "rclone, as installed (`--max-delete` off)": lambda _, size: size < 0,
    "rclone `--max-delete 100`": lambda deleted, _: deleted > 100,
    "Okta, 20 %": lambda deleted, size: deleted > 0.2 * size,
    "Entra Connect, 500": lambda deleted, _: deleted > 500,
}


def judged(world):
    """Return the limits that refuse a night, and the names of the other rules that would have."""
    source, dest = world.sides()
    size = len(dest["users"])
    try:
        diff = source - dest
        found = violations(diff, world.limits)
    except DatastoreSyncError as error:
        return [type(error).__name__], []
    deleted = sum(action.verb == "old" for action in diff)
    others = [name for name, rule in RULES.items() if rule(deleted, size)]
    return sorted({one.name or "rows" if isinstance(one, Violation) else "diff" for one in found}), others


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    chance = random.Random(args.seed)
    refused, by_limit, others = 0, Counter(), Counter()
    print("| what happened to whom | source | refused by | rclone 100 | Okta | Entra |\n|---|---|---|---|---|---|")
    for title, link, happen in DISASTERS:
        world = World(chance, 3000)
        happen(world)
        limits, rules = judged(world)
        refused += bool(limits)
        others.update(rules)
        marks = " | ".join("yes" if name in rules else "–" for name in list(RULES)[1:])
        print(f"| {title} | {link} | {', '.join(f'`{limit}`' for limit in limits) or 'nothing'} | {marks} |")
    alarms, wrong, quiet = Counter(), Counter(), 0
    for happen, share in NIGHTS.items():
        for _ in range(round(share * args.nights / 1000)):
            world = World(chance, round(min(4000, 40 * chance.paretovariate(0.7))))
            happen(world)
            limits, rules = judged(world)
            quiet += 1
            wrong.update(rules)
            if limits:
                alarms[happen.__name__] += 1
                by_limit.update(limits)
    print(f"\n| rule | disasters refused, of {len(DISASTERS)} | false alarms, of {quiet:,} |\n|---|---|---|")
    print(f"| `datastoresync` | {refused} | {alarms.total()} |")
    for name in RULES:
        print(f"| {name} | {others[name]} | {wrong[name]} |")
    if alarms:
        print(f"\nfalse alarms: {dict(alarms)} by {dict(by_limit)}")


if __name__ == "__main__":
    main()
