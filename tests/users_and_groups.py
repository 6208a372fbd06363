"""Users and groups of tsut for tests, with all that they can have."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from datastoresync.vocabularies.tsut import Group, User, UsersAndGroups

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
names = texts.filter(str.strip) | st.sampled_from(["=1+1", "-x", "'=x", "'", "007", "[x]", "a,b", 'a"b', "1e5", "TRUE"])
filled = st.none() | names


@st.composite
def everyones(draw):
    """Users and groups with all that they can have."""
    everyone = UsersAndGroups()
    groups = draw(st.lists(names, max_size=4, unique_by=str.lower))
    shared = {"visibility": st.sampled_from(["DEFAULT", "NON_SHARABLE"]), "created": st.none() | st.integers(0, 2**41)}
    shared |= {"display_name": filled, "description": filled, "id": filled}
    shared |= {"group_names": st.lists(st.sampled_from(groups), unique=True) if groups else st.just([])}
    privileges = st.lists(st.sampled_from(["DATADOWNLOADING", "ADMINISTRATION"]), unique=True)
    for name in groups:
        everyone.add_group(draw(st.builds(Group, st.just(name), privileges=privileges, **shared)))
    for name in draw(st.lists(names, max_size=4, unique_by=str.lower)):
        everyone.add_user(draw(st.builds(User, st.just(name), mail=filled, password=filled, **shared)))
    return everyone


def described(everyone):
    """Return all that users and groups hold, passwords too."""
    return [json.loads(item.to_json()) for item in (*everyone.get_users(), *everyone.get_groups())]
