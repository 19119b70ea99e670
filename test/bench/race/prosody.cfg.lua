-- SPDX-License-Identifier: Apache-2.0
-- Prosody in the race; @NAMES@ are filled in.  The reason of each setting stands beside it.
run_as_root = true                       -- the race may run in a container
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@"
log = { error = "@DIR@/log" }            -- all three log errors only
network_backend = "epoll"                -- its fastest
network_settings = { tcp_backlog = 4096, nagle = false }  -- with Nagle answers of a login wait for delayed ACKs
gc = { mode = "generational" }           -- what its manual advises for many sessions
interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = { @TLS@ }
s2s_ports = {}
http_ports = {}
https_ports = {}
@WEB@http_ports = { @HTTP@ }
@WEB@http_interfaces = { "127.0.0.1" }
@WEB@http_default_host = "race"           -- that of a URL is an address here
@WEB@consider_bosh_secure = true          -- plain on loopback here too
@WEB@consider_websocket_secure = true
ssl = { certificate = "@CERT@", key = "@KEY@" }
certificates = "@DIR@"
c2s_require_encryption = false           -- plain on loopback: nobody pays for TLS there
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
default_iteration_count = 4096           -- of SCRAM-SHA-1: what ejabberd uses
-- The archive in SQLite, as the others have it, so that the servers differ and not their databases; in files it is
-- slower, and its manual advises SQL for archives.
storage = { archive = "sql", default = "internal" }
sql = { driver = "SQLite3", database = "@DIR@/archive.sqlite" }
modules_enabled = { "disco", "roster", "saslauth", "tls", "carbons", "smacks", "ping", "version", "time", "register",
@ARCHIVE@           "mam",
@WEB@               "bosh", "websocket",
                    "posix", "offline" }  -- the default ones that a client's session meets; the archive where measured
default_archive_policy = true
allow_registration = true                -- accounts are made by the load
c2s_direct_tls_ssl = { certificate = "@CERT@", key = "@KEY@" }
VirtualHost "race"
VirtualHost "anon.race"
    authentication = "anonymous"
@ROOMS@Component "conference.race" "muc"
