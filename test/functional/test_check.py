# SPDX-License-Identifier: Apache-2.0
"""meerkatd --check: what is wrong with a configuration, where, and what was meant."""
import re

from server import BUILD, DOMAIN, Server, certificates, run

HEAD = f'plugin_dir = "{BUILD}/plugins:{BUILD}/backends";\n'
HOSTS = f'hosts = ( {{ name = "{DOMAIN}"; }} );\n'
STORE = 'storage = { default = "memory"; };\n'
GOOD = HEAD + HOSTS + STORE + 'plugins = { auth_internal = {}; };\n'


def lines_of(server, text, *options):
    code, lines = server.check(text, *options)
    return code, [line for line in lines if line]


def wrong(server, text, *patterns, options=()):
    """Exactly these complaints, each at the line that is marked with its number: "# 1"."""
    code, lines = lines_of(server, text, *options)
    assert code == 1, f"status {code}: {lines}"
    marks = {m.group(1): i for i, line in enumerate(text.splitlines(), 1) for m in re.finditer(r"# (\d)", line)}
    for number, pattern in enumerate(patterns, 1):
        place = f"FILE:{marks[str(number)]}: " if str(number) in marks else ""
        found = [line for line in lines if line.startswith(place) and re.search(pattern, line)]
        assert len(found) == 1, f"expected {place}{pattern}, but got:\n" + "\n".join(lines)
    assert len(lines) == len(patterns), "more is wrong than expected:\n" + "\n".join(lines)


def test_good(server):
    code, lines = lines_of(server, GOOD)
    assert code == 0 and lines == ["FILE: no errors"], lines


def test_own_configuration(server):
    code, lines = server.check()
    assert code == 0, lines


def test_needs_no_database(server):
    code, lines = lines_of(server, GOOD.replace(STORE, 'storage = { default = "sqlite"; };\n'
                                                'backends = { sqlite = { path = "/nonexistent/folder/x.db"; }; };\n'))
    assert code == 0, lines


def test_syntax(server):
    wrong(server, GOOD + "limits = { stanza = ; }; # 1\n", "syntax")


def test_missing_file(server):
    done = server.check(None, "-c", "/nonexistent.cfg")
    assert done[0] == 1 and any("/nonexistent.cfg" in line for line in done[1]), done


def test_unknown_names(server):
    wrong(server, GOOD + "limmits = {}; # 1\nlimits = {\n  stanzza = 1; # 2\n};\n",
          "limmits.*did you mean.*limits", "stanzza.*did you mean.*stanza")


def test_unknown_plugin(server):
    wrong(server, GOOD.replace("plugins = { ", "plugins = {\n rooster = {}; # 1\n"), "rooster.*roster")


def test_unknown_plugin_option(server):
    wrong(server, GOOD.replace("plugins = { ", "plugins = {\n roster = { max_itmes = 3; }; # 1\n"), "max_itmes.*max_items")


def test_wrong_type(server):
    wrong(server, GOOD + 'limits = { depth = "deep"; }; # 1\nlog = { level = 7; }; # 2\n', "depth", "level")


def test_out_of_range(server):
    wrong(server, GOOD + "limits = { depth = 1; # 1\n attributes = 100000; }; # 2\n", "depth.*4", "attributes.*1000")


def test_unknown_word(server):
    wrong(server, GOOD + 'log = { level = "warn"; }; # 1\n', "level.*warning")


def test_missing_certificate(server):
    text = GOOD.replace(HOSTS, f'hosts = ( {{ name = "{DOMAIN}"; certificate = "/nonexistent.pem"; # 1\n'
                        f'key = "{certificates()}/{DOMAIN}.key"; }} );\n')
    wrong(server, text, "/nonexistent.pem")


def test_key_of_another_certificate(server):
    certs = certificates()
    text = GOOD.replace(HOSTS, f'hosts = ( {{ name = "{DOMAIN}"; certificate = "{certs}/{DOMAIN}.crt"; # 1\n'
                        f'key = "{certs}/two.example.key"; }} );\n')
    code, lines = lines_of(server, text)
    assert code == 1 and len(lines) == 1 and "key" in lines[0], lines


def test_host_without_name(server):
    wrong(server, GOOD.replace(HOSTS, "hosts = ( { } ); # 1\n"), "name")


def test_host_twice(server):
    host = f'{{ name = "{DOMAIN}"; }}'
    code, lines = lines_of(server, GOOD.replace(HOSTS, f"hosts = ( {host},\n{host} );\n"))
    assert code == 1 and DOMAIN in lines[0], lines


def test_no_host(server):
    code, lines = lines_of(server, GOOD.replace(HOSTS, ""))
    assert code == 1 and any("hosts" in line for line in lines), lines


def test_bad_host_name(server):
    wrong(server, GOOD.replace(DOMAIN, 'a@b').replace("; } );\n", "; } ); # 1\n", 1), "a@b")


def test_unknown_host_type(server):
    text = GOOD.replace(HOSTS, f'hosts = ( {{ name = "{DOMAIN}"; type = "guest"; }} ); # 1\nhost_types = {{ guests = {{}}; }};\n')
    wrong(server, text, "guest.*guests")


def test_unknown_mechanism(server):
    wrong(server, GOOD + 'host_types = { default = { sasl = [ "SCRAM-SHA-265" ]; }; }; # 1\n', "SCRAM-SHA-265.*SCRAM-SHA-256")


def test_unknown_backend(server):
    wrong(server, GOOD.replace('"memory"; };\n', '"sqlit"; }; # 1\n'), "sqlit.*sqlite")


def test_storage_of_unknown_collection(server):
    wrong(server, GOOD.replace(STORE, 'storage = { default = "memory";\n rooster = "memory"; }; # 1\n'), "rooster")


def test_no_storage(server):
    code, lines = lines_of(server, GOOD.replace(STORE, ""))
    assert code == 1 and any("storage" in line for line in lines), lines


def test_nobody_knows_passwords(server):
    """Without a provider of accounts nobody can log in: that is an error, not a surprise."""
    code, lines = lines_of(server, HEAD + HOSTS + STORE + "plugins = { ping = {}; };\n")
    assert code == 1 and any("auth" in line for line in lines), lines


def test_port_out_of_range(server):
    wrong(server, GOOD + "listeners = ( { port = 70000; } ); # 1\n", "port.*65535")


def test_listener_kind(server):
    wrong(server, GOOD + 'listeners = ( { kind = "c3s"; port = 5222; } ); # 1\n', "c3s")


def test_bad_duration(server):
    wrong(server, GOOD + 'limits = { login_timeout = "soon"; }; # 1\n', "login_timeout.*duration")


def test_many_at_once(server):
    """All is said in one go."""
    text = GOOD.replace("plugins = { ", "plugins = {\n rooster = {}; # 1\n version = { nmae = \"x\"; }; # 2\n")
    text += "limits = { depth = 0; }; # 3\nlog = { levle = \"info\"; }; # 4\n"
    wrong(server, text, "rooster", "nmae", "depth", "levle")


def test_set(server):
    code, lines = lines_of(server, GOOD, "--set", "limits.depth=100", "--set", "log.level=debug")
    assert code == 0, lines
    code, lines = lines_of(server, GOOD, "--set", "limits.depht=100")
    assert code == 1 and len(lines) == 1 and "depht" in lines[0] and "depth" in lines[0], lines


def test_plugins_d(server):
    """Files beside the main one belong to it, and errors name them."""
    with Server(start=False) as s:
        folder = f"{s.folder}/plugins.d"
        run(["mkdir", "-p", folder])
        with open(f"{folder}/register.cfg", "w") as f:
            f.write("plugins = {\n  register = {\n    opne = true;\n  };\n};\n")
        code, lines = s.check()
        assert code == 1 and len(lines) == 1, lines
        assert re.search(r"plugins\.d/register\.cfg:3: .*opne.*open", lines[0]), lines
        with open(f"{folder}/register.cfg", "w") as f:
            f.write("plugins = { register = { open = true; }; };\n")
        assert s.check()[0] == 0


def test_bad_arguments(server):
    for words in (("--nonsense",), ("extra",)):
        code, lines = server.check(GOOD, *words)
        assert code == 2 and any("Usage" in line for line in lines), lines
