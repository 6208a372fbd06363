"""Trees whose objects are below each other, and Hypothesis strategies for them."""

from hypothesis import strategies as st

from datastoresync import Branch, Limits, Object, Template, Tree

NO_LIMITS = Limits(
    deletions=10**9, updates=10**9, removals=10**9, dangling=10**9, empty=["sites", "devices", "ports", "regions"]
)


class Site(Object):
    _children = {"devices": "devices"}

    phone: str = ""
    devices: list[str] = []


class Device(Object):
    _children = {"ports": "device"}  # no field of a device: each port names its device

    role: str = ""


class Port(Object):
    _identifiers = ("device", "name")

    device: str
    name: str
    speed: int = 0


class Region(Object):
    _children = {"regions": "parts", "sites": "sites"}

    label: str = ""
    parts: set[str] = set()
    sites: set[str] = set()


class Seen(Template):
    """Notes every action, member by member, and fails for the idnumbers that it is told."""

    def __init__(self, fails=()):
        self.fails = set(fails)
        self.actions = []

    def _note(self, action):
        self.actions.append(action)
        if (action.verb, action.idnumber) in self.fails:
            raise OSError("the line was cut")

    new = update = old = add = remove = _note

    def __getattr__(self, name):
        if name.startswith(("add_", "remove_")):
            return self._note
        raise AttributeError(name)


class Network(Tree):
    sites = Branch(Site)
    devices = Branch(Device)
    ports = Branch(Port)


class World(Tree):
    regions = Branch(Region)
    sites = Branch(Site)
    devices = Branch(Device)
    ports = Branch(Port)


def network(name, sites, template=None, cls=Network):
    """Return a tree of ``{site: {device: {port: speed}}}``."""
    tree = cls(name, template=Seen() if template is None else template)
    for site, devices in sites.items():
        tree.sites.new(site, devices=list(devices))
        for device, ports in devices.items():
            tree.devices.new(device, role=f"{len(ports)} ports")
            for port, speed in ports.items():
                tree.ports.new((device, port), speed=speed)
    return tree


LETTERS = st.sampled_from("abcdef")


@st.composite
def worlds(draw, name="world"):
    """Draw a tree of regions within regions, with sites, devices and ports; some of them below nothing."""
    tree = World(name, template=Seen())
    regions = draw(st.lists(LETTERS, unique=True))
    sites = draw(st.lists(LETTERS, unique=True))
    devices = draw(st.lists(LETTERS, unique=True))
    above = {one: draw(st.sampled_from([None, *regions[:place]])) for place, one in enumerate(regions)}
    site_above = {one: draw(st.sampled_from([None, *regions])) for one in sites}
    device_above = {one: draw(st.sampled_from([None, *sites])) for one in devices}
    for one in regions:
        tree.regions.new(
            one,
            label=draw(st.sampled_from(["x", "y"])),
            parts={part for part, parent in above.items() if parent == one},
            sites={site for site, parent in site_above.items() if parent == one},
        )
    for one in sites:
        held = [device for device, parent in device_above.items() if parent == one]
        tree.sites.new(one, phone=draw(st.sampled_from(["1", "2"])), devices=held)
    for one in devices:
        tree.devices.new(one, role=draw(st.sampled_from(["router", "switch"])))
        for port in draw(st.lists(st.sampled_from("01"), unique=True)):
            tree.ports.new((one, port), speed=draw(st.integers(0, 1)))
    return tree


def parent_of(tree, branch, key):
    """Return an object's parent, found by asking every object: an oracle for the hierarchy."""
    for name, field in (("regions", "parts"), ("regions", "sites"), ("sites", "devices")):
        child = {"parts": "regions"}.get(field, field)
        if child == branch and name in tree:
            for parent in tree[name].values():
                if key in getattr(parent, field):
                    return name, parent.idnumber
    return ("devices", key[0]) if branch == "ports" else None
