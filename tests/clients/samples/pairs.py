"""A pair of adapters of each client, with made-up data: diffed, synced, and told as plain values."""

from __future__ import annotations

import logging
import types
import typing


def _optional(annotation):
    """Say whether None fits the annotation."""
    return type(None) in typing.get_args(annotation)


class Recorder:
    """Stands in for an API's client: takes every call, notes it, and answers with an object that has an id."""

    def __init__(self, calls, path="", answers=None):
        self.calls, self.path, self.answers = calls, path, answers or {}

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorder(self.calls, f"{self.path}.{name}".lstrip("."), self.answers)

    def __call__(self, *args, **options):
        if self.path in self.answers:
            return self.answers[self.path]
        self.calls.append([self.path, repr(args), repr(sorted(options.items()))])
        return types.SimpleNamespace(
            id=len(self.calls), name=options.get("name"), update=self.update, delete=self.delete, tags=[], address="x"
        )


def synced(source, destination, *, calls, **options):
    """Diff the two, sync the second from the first, and return what was said, called and is held afterwards."""
    events = []
    handler = logging.Handler()
    handler.emit = lambda record: events.append([record.levelname, record.getMessage().partition("\x1b")[0]])
    seen = []
    diff = destination.diff_from(source, callback=lambda *progress: seen.append(progress), **options)
    before = {"dict": diff.dict(), "text": diff.str(), "summary": diff.summary(), "differs": diff.has_diffs()}
    destination.sync_from(source, **options)
    after = destination.diff_from(source, **options)
    return {
        "before": before,
        "progress": [seen[0], seen[-1]],
        "calls": calls,
        "after": {"summary": after.summary(), "text": after.str()},
        "held": held(destination),
    }


def held(adapter):
    """Return what an adapter holds, by kind and identity."""
    found = {
        str(kind): {one.get_unique_id(): [one.get_identifiers(), one.get_attrs()] for one in adapter.get_all(kind)}
        for kind in sorted(adapter.store.get_all_model_names())
    }
    return {kind: objects for kind, objects in found.items() if objects}  # diffsync's store keeps a kind asked for


def itential():
    """Nautobot's devices into Itential's gateway: devices that come, change and go."""
    from nautobot_ssot.integrations.itential.diffsync.adapters.itential import ItentialAnsibleDeviceAdapter
    from nautobot_ssot.integrations.itential.diffsync.adapters.nautobot import NautobotAnsibleDeviceAdapter

    calls = []
    job = types.SimpleNamespace(logger=logging.getLogger("job"), debug=False)
    answers = {
        "get_groups": {"data": [{"name": "all", "variables": {"user": "ann"}}, {"name": "core", "variables": {}}]},
        "get_devices": {
            "data": [
                {"name": "core-1", "variables": {"ansible_host": "192.0.2.1", "ports": [1, 2]}},
                {"name": "core-2", "variables": {"ansible_host": "192.0.2.2"}},
                {"name": "old-1", "variables": None},
            ]
        },
    }
    destination = ItentialAnsibleDeviceAdapter(api_client=Recorder(calls, answers=answers), job=job, sync=None)
    destination.load()
    source = NautobotAnsibleDeviceAdapter(job=job, sync=None, gateway=None, status=None)
    source.add(source.all_group(name="all", variables={"user": "ben"}))
    for name, host in (("core-1", "192.0.2.1"), ("core-2", "192.0.2.22"), ("new-1", "192.0.2.3")):
        source.add(
            source.device(
                name=name, variables={"ansible_host": host, **({"ports": [1, 2]} if host.endswith(".1") else {})}
            )
        )
    return synced(source, destination, calls=calls)


class Table:
    """A table of ServiceNow that takes every record, as pysnow hands it out."""

    def __init__(self, calls, path):
        self.calls, self.path = calls, path

    def create(self, payload):
        return self._noted("create", payload)

    def update(self, query, payload):
        return self._noted("update", query, payload)

    def get(self, query):
        return self._noted("get", query)

    def request(self, *args, **options):
        return self._noted("request", repr(args), {"data": options["data"]})

    def _noted(self, name, *values):
        self.calls.append([self.path, name, *map(str, values)])
        record = {"sys_id": f"{len(self.calls)}", **values[-1]}
        answer = types.SimpleNamespace(status_code=200, json=lambda: {"unserviced_requests": []})
        return types.SimpleNamespace(
            one=lambda: record, delete=lambda: self._noted("delete", values[-1]), _response=answer
        )


def servicenow():
    """Nautobot's sites, devices and interfaces into ServiceNow: children below children, deletions put off."""
    import diffsync.enum
    from nautobot_ssot.integrations.servicenow.diffsync.adapter_nautobot import NautobotDiffSync
    from nautobot_ssot.integrations.servicenow.diffsync.adapter_servicenow import ServiceNowDiffSync

    calls = []
    job = types.SimpleNamespace(logger=logging.getLogger("job"), debug=False)
    columns = {
        "location": ["name", "latitude"], "device": ["name", "serial"], "interface": ["name", "description"],
    }  # fmt: skip

    def filled(adapter, sites):
        for site, (latitude, devices) in sites.items():
            place = adapter.location(name=site, parent_location_name=None, latitude=latitude)
            adapter.add(place)
            for name, (serial, interfaces) in devices.items():
                device = adapter.device(name=name, location_name=site, serial=serial)
                adapter.add(device)
                place.add_child(device)
                for interface in interfaces:
                    port = adapter.interface(name=interface, device_name=name)
                    adapter.add(port)
                    device.add_child(port)
        return adapter

    source = filled(
        NautobotDiffSync(job=job, sync=None),
        {"nyc": (40.7, {"r1": ("A1", ["e0", "e1"]), "r2": ("B2", ["e0"])}), "ams": (52.4, {"r3": ("C3", [])})},
    )
    source.tag_involved_objects = lambda target: calls.append(["tagged", target.name])  # in Nautobot's database
    destination = ServiceNowDiffSync(client=None, job=job, sync=None)
    destination.client = types.SimpleNamespace(resource=lambda api_path: Table(calls, api_path))
    destination.mapping_data = {
        kind: {"table": kind, "mappings": [{"field": name, "column": name} for name in names]}
        for kind, names in columns.items()
    }
    filled(destination, {"nyc": (40.0, {"r1": ("A0", ["e1", "e9"]), "r9": ("Z9", ["e0"])}), "old": ("", {})})
    return synced(source, destination, calls=calls, flags=diffsync.enum.DiffSyncFlags.CONTINUE_ON_FAILURE)


def potenda():
    """Two REST APIs under infrahub-sync's engine: references, transforms and a filter."""
    from infrahub_sync import SyncInstance
    from infrahub_sync.adapters.genericrestapi import GenericrestapiAdapter, GenericrestapiModel
    from infrahub_sync.potenda import Potenda

    class Site(GenericrestapiModel):
        _modelname = "site"
        _identifiers = ("name",)
        _attributes = ("region",)
        name: str
        region: str | None = None
        local_id: str | None = None
        local_data: typing.Any | None = None

    class Device(GenericrestapiModel):
        _modelname = "device"
        _identifiers = ("name", "site")
        _attributes = ("role", "peers")
        name: str
        site: str
        role: str | None = None
        peers: list[str] | None = []
        local_id: str | None = None
        local_data: typing.Any | None = None

    fields = [
        {"name": "name", "mapping": "name"},
        {"name": "site", "mapping": "site", "reference": "site"},
        {"name": "role", "mapping": "role"},
        {"name": "peers", "mapping": "peers", "reference": "device"},
    ]
    settings = {"url": "http://localhost", "auth_method": "none"}
    config = SyncInstance(
        name="made-up",
        directory=".",
        source={"name": "left", "settings": settings},
        destination={"name": "right", "settings": settings},
        order=["site", "device"],
        schema_mapping=[
            {
                "name": "site",
                "mapping": "sites",
                "filters": [{"field": "name", "operation": "!=", "value": "lab"}],
                "transforms": [{"field": "region", "expression": "{{ region | upper }}"}],
                "fields": [{"name": "name", "mapping": "name"}, {"name": "region", "mapping": "region"}],
            },
            {"name": "device", "mapping": "devices", "fields": fields},
        ],
        diffsync_flags=["SKIP_UNMATCHED_DST"],
    )

    def adapter(name, side, data):
        class Api(GenericrestapiAdapter):
            site, device = Site, Device
            top_level: typing.ClassVar[list[str]] = ["site", "device"]

            def _create_rest_client(self, settings):
                return types.SimpleNamespace(get=lambda endpoint, params: {endpoint: data[endpoint]})

        return Api(target=name, adapter=side, config=config, adapter_type=name, name=name)

    sites = [
        {"id": 1, "name": "nyc", "region": "us"},
        {"id": 2, "name": "lab", "region": "us"},
        {"id": 3, "name": "ams", "region": "eu"},
    ]
    devices = [
        {"id": 1, "name": "r1", "site": {"id": 1}, "role": "core", "peers": []},
        {"id": 2, "name": "r2", "site": {"id": 3}, "role": "edge", "peers": [{"id": 1}]},
    ]
    source = adapter("left", config.source, {"sites": sites, "devices": devices})
    destination = adapter(
        "right",
        config.destination,
        {
            "sites": [{"id": 9, "name": "nyc", "region": "US"}, {"id": 8, "name": "old", "region": "x"}],
            "devices": [{"id": 5, "name": "r1", "site": {"id": 9}, "role": "edge", "peers": []}],
        },
    )
    engine = Potenda(
        destination=destination,
        source=source,
        config=config,
        top_level=["site", "device"],
        show_progress=False,
        concurrent_load=False,
    )
    engine.load_both_sides()
    diff = engine.diff()
    before = {"dict": diff.dict(), "text": diff.str(), "summary": diff.summary(), "plan": engine._diff_to_rows(diff)}
    engine.sync(diff=diff)
    after = engine.diff()
    return {"before": before, "after": {"summary": after.summary(), "text": after.str()}, "held": held(destination)}


def netbox():
    """A network as it was read into NetBox, under network-importer's order of interfaces."""
    from network_importer import config
    from network_importer.adapters.base import BaseAdapter
    from network_importer.adapters.netbox_api.adapter import NetBoxAPIAdapter
    from network_importer.diff import NetworkImporterDiff

    config.load(config_data={"main": {"backend": "netbox", "import_vlans": "config"}})
    calls = []

    class Network(BaseAdapter):
        top_level: typing.ClassVar[list[str]] = ["site", "device", "cable"]

    def nothing(model):
        """Give each field that may be None and has no default the None that pydantic 1 gives it by itself."""
        fields = getattr(model, "model_fields", {})
        return {name: None for name, field in fields.items() if field.is_required() and _optional(field.annotation)}

    def filled(adapter, remote, devices):
        ids = iter(range(1, 1000))

        def new(kind, **given):
            model = getattr(adapter, kind)
            extra = {"remote_id": next(ids)} if remote else {}
            item = model(**nothing(model) | given | extra)
            adapter.add(item)
            return item

        site = new("site", name="nyc")
        for vid in (10, 20) if remote else (10, 20, 30):
            site.add_child(new("vlan", vid=vid, name=f"vlan-{vid}", site_name="nyc", associated_devices=[]))
        for name, interfaces in devices.items():
            device = new("device", name=name, site_name="nyc")
            for interface, given in interfaces.items():
                ips = given.pop("ips", ())
                item = new("interface", name=interface, device_name=name, **given)
                device.add_child(item)
                for address in ips:
                    ip = new("ip_address", address=address, device_name=name, interface_name=interface)
                    item.add_child(ip)
        return adapter

    source = filled(
        Network(nornir=None, settings={}),
        False,
        {
            "r1": {
                "ae0": {"is_lag": True, "description": "uplink", "allowed_vlans": ["nyc__10"], "mode": "TRUNK"},
                "eth0": {"is_lag_member": True, "parent": "r1__ae0"},
                "eth1": {"description": "server", "ips": ["192.0.2.1/24"]},
            },
            "r2": {"eth0": {"description": "new"}},
        },
    )
    destination = NetBoxAPIAdapter(nornir=None, settings={})
    destination.netbox = Recorder(calls)
    filled(
        destination,
        True,
        {
            "r1": {"eth1": {"description": "old", "ips": ["192.0.2.9/24"]}, "gone0": {"description": "gone"}},
            "r3": {"eth0": {"description": "there only"}},
        },
    )
    return synced(source, destination, calls=calls, diff_class=NetworkImporterDiff)


PAIRS = {"infrahub_sync": [potenda], "nautobot_ssot": [itential, servicenow], "network_importer": [netbox]}
