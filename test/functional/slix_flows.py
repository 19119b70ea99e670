# SPDX-License-Identifier: Apache-2.0
"""What slixmpp can be told to do by a flow: coroutines that get the client and the arguments, and return what JSON can
say."""
from slixmpp.plugins.xep_0048.stanza import Bookmarks

PLUGINS = ("xep_0004", "xep_0012", "xep_0048", "xep_0049", "xep_0050", "xep_0054", "xep_0055", "xep_0077",
           "xep_0079", "xep_0092", "xep_0191", "xep_0199", "xep_0424", "xep_0441")
TIMEOUT = 30


async def block(client, jids):
    await client["xep_0191"].block(jids, timeout=TIMEOUT)


async def unblock(client, jids):
    await client["xep_0191"].unblock(jids, timeout=TIMEOUT)


async def blocked(client):
    got = await client["xep_0191"].get_blocked(timeout=TIMEOUT)
    return sorted(str(jid) for jid in got["blocklist"]["items"])


async def publish_vcard(client, name, nickname, photo):
    """PHOTO is hexadecimal."""
    vcard = client["xep_0054"].make_vcard()
    vcard["FN"] = name
    vcard["NICKNAME"] = nickname
    vcard["PHOTO"]["TYPE"] = "image/png"
    vcard["PHOTO"]["BINVAL"] = bytes.fromhex(photo)
    await client["xep_0054"].publish_vcard(vcard, timeout=TIMEOUT)


async def get_vcard(client, jid):
    vcard = (await client["xep_0054"].get_vcard(jid, timeout=TIMEOUT))["vcard_temp"]
    return {"name": vcard["FN"], "nicknames": vcard["NICKNAME"], "photo": vcard["PHOTO"]["BINVAL"].hex()}


async def last(client, jid):
    got = (await client["xep_0012"].get_last_activity(jid, timeout=TIMEOUT))["last_activity"]
    return {"seconds": got["seconds"], "status": got["status"] or ""}


async def set_bookmark(client, room, name):
    bookmarks = Bookmarks()
    bookmarks.add_conference(room, "me", name=name)
    await client["xep_0049"].store(bookmarks, timeout=TIMEOUT)


async def bookmarks(client):
    got = await client["xep_0049"].retrieve("bookmarks", timeout=TIMEOUT)
    return [[str(c["jid"]), c["name"]] for c in got["private"]["bookmarks"]["conferences"]]


async def search(client, directory, words):
    iq = client["xep_0055"].make_search_iq(ito=directory)
    for var, value in words.items():
        iq["search"]["form"].add_field(var, value=value)
    answer = await iq.send(timeout=TIMEOUT)
    return [dict(item) for item in answer["search"]["form"].get_items()]


async def run_command(client, jid, node, fields):
    """The values of the form that an ad-hoc command answers with, and its note; FIELDS go into the form that it asks
    for."""
    answer = (await client["xep_0050"].send_command(jid, node, timeout=TIMEOUT))["command"]
    if answer["status"] == "executing":
        form = answer["form"]
        form["type"] = "submit"
        form["values"] = fields
        answer = (await client["xep_0050"].send_command(jid, node, sessionid=answer["sessionid"], action="complete",
                                                        payload=[form], timeout=TIMEOUT))["command"]
    notes = [note[1] for note in answer["notes"]]
    values = answer["form"].get_values() if answer.get_plugin("form", check=True) else {}
    return {"status": answer["status"], "notes": notes, "values": values}


async def change_password(client, password):
    await client["xep_0077"].change_password(password, timeout=TIMEOUT)


async def cancel_registration(client):
    await client["xep_0077"].cancel_registration(timeout=TIMEOUT)


async def ask_server(client, domain):
    """What anybody may ask a server: its software, whether it is there."""
    version = (await client["xep_0092"].get_version(domain, timeout=TIMEOUT))["software_version"]
    await client["xep_0199"].send_ping(domain, timeout=TIMEOUT)
    return {"name": version["name"], "version": version["version"]}


async def archive_wishes(client, default, always, never):
    await client["xep_0441"].set_preferences(default, always, never, timeout=TIMEOUT)
    default, always, never = await client["xep_0441"].get_preferences(timeout=TIMEOUT)
    return [default, sorted(map(str, always)), sorted(map(str, never))]


async def rule(client, to, body, action, condition, value):
    """A message with one rule; what the server says of it."""
    answered = client.loop.create_future()
    for event in ("amp_error", "amp_notify", "amp_alert"):
        client.add_event_handler(event, lambda m, e=event: answered.done() or answered.set_result([e, m["id"]]), disposable=True)
    message = client.make_message(to, body, mtype="chat")
    message["id"] = "ruled"
    message["amp"].add_rule(action, condition, value)
    message.send()
    return await answered


async def retract(client, to, id):
    client["xep_0424"].send_retraction(to, id, fallback_text="It was retracted.")
