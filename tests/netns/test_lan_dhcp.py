# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP, DNS and router advertisements for the LAN, by real servers with files of linkbal's (S17)."""

import os
import re
import stat

import pytest
from lab import Config, tcp_who
from lab.lan_dhcp import NAME, NAME4, BareHost, Dnsmasq, InternetNames, kea, radvd

LAB = {"hosts": 2, "uplinks": 2}
DOMAIN = "minharede.intranet"
PRINTER = "02:00:00:00:00:10"

COMMON = f"""
[dhcp]
lease_time = "10m"
domain = "{DOMAIN}"
file = "%(file)s"
%(more)s
[[dhcp.range]]
first = "192.168.0.100"
last = "192.168.0.150"

[[dhcp.host]]
mac = "{PRINTER}"
address = "192.168.0.20"
name = "printer"
"""


def path_of(lab, name="dnsmasq.conf"):
    return f"{lab.directory}/{name}"


def configure(balancer, more="", end="", file=None):
    """Writes the configuration; `more` goes into [dhcp], `end` behind everything."""
    lab = balancer.lab
    values = {"file": file or path_of(lab), "more": more}
    balancer.write(Config(lab).text() + COMMON % values + end)


def install(balancer, *words, **keys):
    """`linkbal dhcp --write` that has to work, with all else in place; returns what it says."""
    configure(balancer, *words, **keys)
    balancer.up()
    return write(balancer)


def write(balancer, status=0, prefix=()):
    done = balancer.run("dhcp", "--write", prefix=prefix)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def both(lab, family=4):
    return {uplink.address(family) for uplink in lab.uplinks}


def test_a_host_is_configured_and_reaches_the_internet(lab, balancer):
    install(balancer)
    names = InternetNames(lab, DOMAIN)
    Dnsmasq(lab, path_of(lab), names.resolv_conf)
    host = BareHost(lab, lab.hosts[0])
    lease = host.lease("-x", "hostname:laptop")
    assert 100 <= int(lease["ip"].rsplit(".", 1)[1]) <= 150
    assert (lease["mask"], lease["lease"], lease["domain"]) == ("24", "600", DOMAIN)
    assert (lease["router"], lease["dns"]) == ("192.168.0.1", "192.168.0.1")
    assert host.default_routers() == ["192.168.0.1"]
    assert host.resolve(lease["dns"], NAME) == ([NAME4], "NOERROR")
    # By both links, to the address that the name has.
    assert set(tcp_who(lab, 40, hosts=[host.space], servers=[NAME4])) == both(lab)
    # The LAN's own names are known here alone.
    assert host.resolve(lease["dns"], f"laptop.{DOMAIN}") == ([lease["ip"]], "NOERROR")
    assert host.resolve(lease["dns"], f"nobody.{DOMAIN}") == ([], "NXDOMAIN")
    assert lab.spoofed() == 0


def test_static_lease(lab, balancer):
    install(balancer)
    Dnsmasq(lab, path_of(lab))
    lease = BareHost(lab, lab.hosts[1], PRINTER).lease()
    assert (lease["ip"], lease["hostname"]) == ("192.168.0.20", "printer")
    other = BareHost(lab, lab.hosts[0])
    assert other.lease()["ip"] != "192.168.0.20"
    assert other.resolve("192.168.0.1", f"printer.{DOMAIN}") == (["192.168.0.20"], "NOERROR")


def test_named_dns_servers_and_another_router(lab, balancer):
    install(balancer, 'dns_servers = ["198.51.100.53", "198.51.100.54"]')
    Dnsmasq(lab, path_of(lab))
    assert BareHost(lab, lab.hosts[0]).lease()["dns"] == "198.51.100.53 198.51.100.54"
    assert ":53 " not in lab.gateway.output("ss", "-ulnH")


def test_nobody_is_served_on_the_uplinks(lab, balancer):
    install(balancer)
    Dnsmasq(lab, path_of(lab), InternetNames(lab, DOMAIN).resolv_conf)
    for uplink in lab.uplinks:
        asked = uplink.router.run("dig", "+tries=1", "+time=1", f"@{uplink.address4}", NAME, check=False)
        assert asked.returncode == 9, asked.stdout  # no reply
        asked = uplink.router.run("udhcpc", "--interface", "customer", "--now", "--quit", "--retries", "2",
                                  "--timeout", "1", "--script", "/bin/true", check=False)
        assert asked.returncode == 1, asked.stdout + asked.stderr
    host = BareHost(lab, lab.hosts[0])
    assert host.resolve(host.lease()["dns"], NAME) == ([NAME4], "NOERROR")


@pytest.mark.parametrize("mode", ["slaac", "stateless"])
def test_router_advertisements(lab, balancer, mode):
    install(balancer, end=f'[dhcp.ipv6]\nmode = "{mode}"\n')
    Dnsmasq(lab, path_of(lab))
    host = BareHost(lab, lab.hosts[0])
    router, addresses = host.advertised()
    assert router.startswith("fe80:")
    assert len(addresses) == 1 and addresses[0].startswith("2001:db8:a:")
    assert set(tcp_who(lab, 40, 6, hosts=[host.space])) == both(lab, 6)
    assert lab.spoofed() == 0
    if mode == "stateless":
        assert host.lease6("-S")["dns"] == "2001:db8:a::1"


KEA = 'server = "kea"\ndns_servers = ["198.51.100.53"]'


def test_kea(lab, balancer):
    install(balancer, KEA, file=lab.directory)
    kea(lab, 4, path_of(lab, "kea-dhcp4.conf"))
    host = BareHost(lab, lab.hosts[0])
    lease = host.lease()
    assert 100 <= int(lease["ip"].rsplit(".", 1)[1]) <= 150
    assert (lease["mask"], lease["lease"], lease["domain"]) == ("24", "600", DOMAIN)
    assert (lease["router"], lease["dns"]) == ("192.168.0.1", "198.51.100.53")
    assert set(tcp_who(lab, 40, hosts=[host.space])) == both(lab)
    assert BareHost(lab, lab.hosts[1], PRINTER).lease()["ip"] == "192.168.0.20"


def test_radvd_advertises(lab, balancer):
    install(balancer, KEA, '[dhcp.ipv6]\nmode = "slaac"\n', lab.directory)
    assert not os.path.exists(path_of(lab, "kea-dhcp6.conf"))
    radvd(lab, path_of(lab, "radvd.conf"))
    host = BareHost(lab, lab.hosts[0])
    _, addresses = host.advertised()
    assert len(addresses) == 1 and addresses[0].startswith("2001:db8:a:")
    assert set(tcp_who(lab, 40, 6, hosts=[host.space])) == both(lab, 6)


MANAGED = f"""
[[dhcp.host]]
mac = "{PRINTER}"
address = "2001:db8:a::20"
name = "printer"

[dhcp.ipv6]
mode = "managed"
"""


@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_managed_ipv6_addresses(lab, balancer, server):
    if server == "dnsmasq":
        install(balancer, 'dns_servers = ["2001:db8:ff::53"]', MANAGED)
        Dnsmasq(lab, path_of(lab))
    else:
        more = 'server = "kea"\ndns_servers = ["2001:db8:ff::53"]'
        assert install(balancer, more, MANAGED, lab.directory).count(": written; ") == 3
        kea(lab, 6, path_of(lab, "kea-dhcp6.conf"))
        radvd(lab, path_of(lab, "radvd.conf"))
    host = BareHost(lab, lab.hosts[0])
    assert host.advertised()[1] == []  # no address of its own making
    lease = host.lease6()
    assert re.fullmatch("2001:db8:a::1[0-9a-f]{3}", lease["ip"])
    assert lease["dns"] == "2001:db8:ff::53"
    assert set(tcp_who(lab, 40, 6, hosts=[host.space])) == both(lab, 6)
    assert BareHost(lab, lab.hosts[1], PRINTER).lease6()["ip"] == "2001:db8:a::20"


TWO_NETWORKS = f"""
[dhcp]
server = "kea"
dns_servers = ["198.51.100.53"]
file = "%(file)s"

[[dhcp.range]]
first = "192.168.0.100"
last = "192.168.0.100"

[[dhcp.range]]
first = "10.7.0.100"
last = "10.7.0.100"

[[dhcp.range]]
first = "2001:db8:a::100"
last = "2001:db8:a::100"

[[dhcp.range]]
first = "fd00:7::100"
last = "fd00:7::100"

[[dhcp.host]]
mac = "{PRINTER}"
address = "10.7.0.20"

[[dhcp.host]]
mac = "{PRINTER}"
address = "2001:db8:a::20"

[dhcp.ipv6]
mode = "managed"
"""


# As the kernel lists them: of IPv6 addresses the newest first.
NETWORKS = {4: ("192.168.0.", "10.7.0."), 6: ("fd00:7::", "2001:db8:a::")}


def two_networks(lab, balancer, family):
    """Kea for a LAN interface with two networks of a family, each with one address to give away."""
    lab.gateway.batch("addr add 10.7.0.1/24 dev eth0\naddr add fd00:7::1/64 dev eth0 nodad\n")
    balancer.write(Config(lab, networks=False).text() + TWO_NETWORKS % {"file": lab.directory})
    balancer.up()
    write(balancer)
    kea(lab, family, path_of(lab, f"kea-dhcp{family}.conf"))
    return NETWORKS[family]


def lease_of(host, family):
    return host.lease() if family == 4 else host.lease6()


@pytest.mark.parametrize("family", [4, 6])
def test_kea_gives_away_all_networks_of_an_interface(lab, balancer, family):
    """Where one is used up the other one goes on."""
    networks = two_networks(lab, balancer, family)
    hosts = [BareHost(lab, host) for host in lab.hosts]
    leases = [lease_of(host, family) for host in hosts]
    assert {lease["ip"] for lease in leases} == {f"{network}100" for network in networks}
    if family == 4:
        for host, lease in zip(hosts, leases):
            assert lease["router"] == lease["ip"].removesuffix("00")
            assert set(tcp_who(lab, 40, hosts=[host.space])) == both(lab)


@pytest.mark.parametrize("family", [4, 6])
def test_kea_keeps_an_address_of_the_second_network(lab, balancer, family):
    networks = two_networks(lab, balancer, family)
    assert lease_of(BareHost(lab, lab.hosts[0], PRINTER), family)["ip"] == f"{networks[1]}20"


# --- writing -------------------------------------------------------------------------------------


def listing(lab):
    """{name: content} of the files that are nobody's else."""
    names = [n for n in os.listdir(lab.directory) if ".conf" in n]
    return {n: open(path_of(lab, n), encoding="utf-8").read() for n in names}


def test_print_writes_nothing_and_write_writes_the_same(lab, balancer):
    configure(balancer)
    printed = balancer.run("dhcp")
    assert printed.returncode == 0 and listing(lab) == {}
    assert write(balancer) == f"{path_of(lab)}: written; dnsmasq reads it when it is restarted\n"
    assert listing(lab) == {"dnsmasq.conf": printed.stdout}
    assert stat.S_IMODE(os.stat(path_of(lab)).st_mode) == 0o644
    number = os.stat(path_of(lab)).st_ino
    assert write(balancer) == f"{path_of(lab)}: unchanged\n"
    assert os.stat(path_of(lab)).st_ino == number


def test_a_change_keeps_mode_and_owner(lab, balancer):
    configure(balancer)
    write(balancer)
    os.chmod(path_of(lab), 0o640)
    os.chown(path_of(lab), 65534, 65534)
    configure(balancer, 'dns_servers = ["198.51.100.53"]')
    assert ": written; " in write(balancer)
    found = os.stat(path_of(lab))
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 65534, 65534)
    assert "port=0\n" in listing(lab)["dnsmasq.conf"]


def test_files_of_others_stay(lab, balancer):
    """None is written where one is somebody else's, even the last."""
    configure(balancer, KEA, '[dhcp.ipv6]\nmode = "slaac"\n', lab.directory)
    with open(path_of(lab, "radvd.conf"), "w", encoding="ascii") as file:
        file.write("interface eth0 {};\n")
    said = write(balancer, 1)
    assert "radvd.conf is there and was not written by `linkbal dhcp`" in said
    assert listing(lab) == {"radvd.conf": "interface eth0 {};\n"}


def test_no_checker_no_files(lab, balancer):
    """As on a machine without the package."""
    configure(balancer, KEA, '[dhcp.ipv6]\nmode = "slaac"\n', lab.directory)
    hidden = "mount --bind /dev/null /usr/sbin/radvd && exec \"$@\""
    said = write(balancer, 1, ("unshare", "--mount", "sh", "-c", hidden, "sh"))
    assert "radvd, which is to check the files, is not there: the package radvd has it" in said
    assert listing(lab) == {}


def checker(lab, name, *commands):
    """The words in front of linkbal that make a script of these commands its checker."""
    os.mkdir(f"{lab.directory}/bin")
    with open(f"{lab.directory}/bin/{name}", "w", encoding="ascii") as file:
        file.write("\n".join(("#!/bin/sh", *commands, "")))
    os.chmod(f"{lab.directory}/bin/{name}", 0o755)
    return "env", f"PATH={lab.directory}/bin:{os.environ['PATH']}"


def test_what_a_checker_refuses_is_not_written(lab, balancer):
    """Its words are told; the files that were there stay, and nothing beside them."""
    configure(balancer, KEA, '[dhcp.ipv6]\nmode = "slaac"\n', lab.directory)
    write(balancer)
    before = listing(lab)
    configure(balancer, KEA + '\nmax_lease_time = "1h"', '[dhcp.ipv6]\nmode = "stateless"\n', lab.directory)
    said = write(balancer, 1, checker(lab, "radvd", "echo this will not do", "exit 3"))
    assert "radvd refuses it: exit status 3: this will not do" in said
    assert listing(lab) == before
    assert [n for n in os.listdir(lab.directory) if n.startswith(".")] == []


def test_what_another_puts_there_meanwhile_stays(lab, balancer):
    """Somebody writes a file of theirs while ours is checked."""
    configure(balancer)
    words = checker(lab, "dnsmasq", f"echo port=0 >{path_of(lab)}")
    said = write(balancer, 1, words)
    assert "nothing written" in said and "was not written by `linkbal dhcp`" in said
    assert listing(lab) == {"dnsmasq.conf": "port=0\n"}
    assert [n for n in os.listdir(lab.directory) if n.startswith(".")] == []


@pytest.mark.parametrize("first, message", [
    ("10.9.9.9", "first: expected an address in a network of [lan] (192.168.0.0/24"),
    ("192.168.0.1", "first: expected a range without the gateway's own address 192.168.0.1 (eth0)")])
def test_bad_ranges_touch_nothing(lab, balancer, first, message):
    configure(balancer)
    with open(balancer.config, encoding="utf-8") as file:
        text = file.read().replace('first = "192.168.0.100"', f'first = "{first}"')
    balancer.write(text)
    line = text[:text.index(first)].count("\n") + 1
    said = write(balancer, 2)
    assert f"{balancer.config}:{line}:9: {message}" in said
    assert listing(lab) == {}


def test_without_the_section(lab, balancer):
    balancer.write(Config(lab))
    assert "no [dhcp] section" in write(balancer, 2)
