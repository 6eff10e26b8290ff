// Configuration text: what is accepted, and the exact words about what is not.
#include "appliances/router/core/config/config_parser.h"

#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

/// What validation says about a text for a router with eth0 and eth1, MTU 1500.
std::string validate(const std::string& text) {
  const std::array<InterfaceConfig, 2> interfaces{{{"eth0", {}, 1500}, {"eth1", {}, 1500}}};
  std::vector<std::byte> memory(64 * 1024);
  Arena arena(memory);
  ErrorList errors;
  const std::size_t count = validate_config(text, interfaces, arena, errors);
  EXPECT_EQ(count, errors.errors.size());
  return errors.text();
}

TEST(Config, AcceptsWhatFrrAccepts) {
  EXPECT_EQ(
      validate("frr version 8.4.4\n"
               "frr defaults traditional\n"
               "hostname r1\n"
               "log syslog informational\n"
               "no ipv6 forwarding\n"
               "service integrated-vtysh-config\n"
               "!\n"
               "# a comment\n"
               "interface eth0\r\n"
               " description to the left, with  many   words one two three four five six seven eight nine\n"
               " ip address 10.0.1.1/24\n"
               " ip address 10.0.1.2/24\n"
               " mtu 1400\n"
               " no shutdown\n"
               "exit\n"
               "!\n"
               "interface eth1\n"
               " ip address 10.0.2.0/31\n"
               "ip route 0.0.0.0/0 10.0.1.254\n"
               "ip route 10.1.2.3/16 10.0.1.254 200\n"
               "ip route 10.2.0.0/16 eth1\n"
               "ip route 10.3.0.0/16 192.0.2.1 eth1 5\n"
               "ip route 10.4.0.0/16 Null0\n"
               "ip route 10.5.0.0/16 null0 3\n"
               "ip route 10.6.0.0/16 blackhole\n"
               "ip route 10.7.0.0/16 reject\n"
               "line vty\n"
               "end\n"),
      "");
  EXPECT_EQ(validate(""), "");
  EXPECT_EQ(validate("\n\n  \n!"), "");
}

TEST(Config, Abbreviations) {
  EXPECT_EQ(validate("int eth0\n ip ad 10.0.1.1/24\n shut\n no sh\nip ro 0.0.0.0/0 10.0.1.2\nho r2\n"), "");
}

TEST(Config, ErrorsNameLineColumnWordAndRemedy) {
  EXPECT_EQ(validate("interface eth0\n ip address 10.0.1.300/24\n"),
            "2:13: '10.0.1.300/24': '10.0.1.300/24' is not an IPv4 address with a prefix length; "
            "write an IPv4 address with a prefix length such as 10.0.1.1/24\n");
  EXPECT_EQ(validate("interface eth0\n ip address 10.0.1.1\n"),
            "2:13: '10.0.1.1': '10.0.1.1' is not an IPv4 address with a prefix length; "
            "write an IPv4 address with a prefix length such as 10.0.1.1/24\n");
  EXPECT_EQ(validate("\n\ninterface eth7\n"),
            "3:11: 'eth7': there is no interface 'eth7'; this router has eth0, eth1\n");
  EXPECT_EQ(validate("interface eth0\n mtu 67\n"),
            "2:6: '67': '67' is not a number from 68 to 65535; write a number from 68 to 65535\n");
  EXPECT_EQ(validate("interface eth0\n mtu 1501\n"),
            "2:6: '1501': MTU 1501 is more than the card of eth0 can do; use at most 1500\n");
  EXPECT_EQ(validate("interface eth0\n ip address\n"),
            "2:12: '': the command is incomplete; "
            "write an IPv4 address with a prefix length such as 10.0.1.1/24\n");
  EXPECT_EQ(validate("interface eth0\n shutdown now\n"),
            "2:11: 'now': 'now' is one word too many; remove it\n");
  EXPECT_EQ(
      validate("router bgp 65000\n"),
      "1:1: 'router': 'router' is not a command; write 'hostname', 'interface', 'ip', 'no', 'frr', 'log', "
      "'service', 'line', 'exit' or 'end'\n");
  EXPECT_EQ(validate("ip adress 10.0.0.1/24\n"),
            "1:4: 'adress': 'adress' is not possible here; write 'route' or 'forwarding'\n");
  EXPECT_EQ(validate("e\n"), "1:1: 'e': 'e' is ambiguous; write 'exit' or 'end'\n");
  EXPECT_EQ(
      validate("hostname bad/name\n"),
      "1:10: 'bad/name': 'bad/name' is not a host name; use up to 63 letters, digits, '-', '.' and '_'\n");
}

TEST(Config, ErrorsAboutAddresses) {
  const auto address = [](const std::string& text) {
    return validate("interface eth0\n ip address " + text + "\n");
  };
  EXPECT_EQ(address("10.0.1.0/24"),
            "2:13: '10.0.1.0/24': 10.0.1.0/24 is the network address of its network; "
            "use a host address between 10.0.1.1 and 10.0.1.254\n");
  EXPECT_EQ(address("10.0.1.255/24"),
            "2:13: '10.0.1.255/24': 10.0.1.255/24 is the broadcast address of its network; "
            "use a host address between 10.0.1.1 and 10.0.1.254\n");
  for (const std::string bad :
       {"0.0.0.1/8", "127.0.0.1/8", "224.0.0.1/24", "240.0.0.1/24", "255.255.255.255/32", "10.0.0.1/0"}) {
    EXPECT_EQ(address(bad),
              "2:13: '" + bad + "': " + bad +
                  " cannot be the address of an interface; "
                  "use a unicast address and a prefix length from 1 to 32, such as 10.0.1.1/24\n");
  }
  for (const std::string bad : {"10.0.1.1/33", "10.0.1.1/", "10.0.1.1/24x", "10.0.1/24", "10.0.1.01/24",
                                "10.0.1.1.1/24", "+1.0.0.1/8", "1.2.3.4/-1", "4294967297.0.0.1/8"}) {
    EXPECT_NE(address(bad).find("is not an IPv4 address with a prefix length"), std::string::npos) << bad;
  }
  EXPECT_EQ(validate("interface eth0\n ip address 10.0.1.1/24\ninterface eth1\n ip address 10.0.1.1/30\n"),
            "4:13: '10.0.1.1/30': 10.0.1.1 is already configured on eth0 as 10.0.1.1/24; "
            "use another address, or remove that one first\n");
  EXPECT_EQ(validate("interface eth0\n ip address 10.0.1.1/24\n ip address 10.0.1.1/24\n"), "");
  EXPECT_EQ(validate("interface eth0\n no ip address 10.0.1.1/24\n"),
            "2:16: '10.0.1.1/24': eth0 does not have the address 10.0.1.1/24; "
            "name an address that 'show interface eth0' lists\n");
  std::string many = "interface eth0\n";
  for (int i = 1; i <= 9; ++i)
    many += "ip address 10.0." + std::to_string(i) + ".1/24\n";
  EXPECT_EQ(validate(many), "10:12: '10.0.9.1/24': eth0 has 8 addresses already; remove one of them first\n");
}

TEST(Config, ErrorsAboutRoutes) {
  EXPECT_EQ(validate("ip route 0.0.0.0 10.0.1.2\n"),
            "1:10: '0.0.0.0': '0.0.0.0' is not an IPv4 address with a prefix length; "
            "write an IPv4 address with a prefix length such as 10.0.1.1/24\n");
  EXPECT_EQ(validate("ip route 0.0.0.0/0 10.0.1.256\n"),
            "1:20: '10.0.1.256': '10.0.1.256' is not possible here; write an IPv4 address such as 10.0.1.1, "
            "an interface name, 'null0', 'blackhole' or 'reject'\n");
  EXPECT_EQ(validate("ip route 0.0.0.0/0 224.0.0.1\n"),
            "1:20: '224.0.0.1': 224.0.0.1 cannot be a gateway; use the address of a neighbouring router\n");
  EXPECT_EQ(validate("ip route 0.0.0.0/0 eth9\n"),
            "1:20: 'eth9': there is no interface 'eth9'; this router has eth0, eth1\n");
  EXPECT_EQ(validate("ip route 0.0.0.0/0 10.0.1.2 300\n"),
            "1:29: '300': '300' is not possible here; write a number from 1 to 255 or an interface name\n");
  EXPECT_EQ(validate("ip route 0.0.0.0/0\n"),
            "1:19: '': the command is incomplete; write an IPv4 address such as 10.0.1.1, an interface name, "
            "'null0', 'blackhole' or 'reject'\n");
  EXPECT_EQ(validate("no ip route 10.0.0.0/8 10.0.1.2\n"),
            "1:13: '10.0.0.0/8': there is no such route to 10.0.0.0/8; "
            "name a route that 'show running-config' lists\n");
}

TEST(Config, OneErrorForABlockOfAnUnknownInterface) {
  EXPECT_EQ(validate("interface eth5\n ip address 10.0.1.1/24\n mtu 1400\nexit\ninterface eth0\n mtu 1\n"),
            "1:11: 'eth5': there is no interface 'eth5'; this router has eth0, eth1\n"
            "6:6: '1': '1' is not a number from 68 to 65535; write a number from 68 to 65535\n");
}

TEST(Config, LinesAfterAnErrorAreApplied) {
  TestRouter router("");
  ErrorList errors;
  EXPECT_EQ(router.router().configure("bogus\ninterface eth0\n ip address 10.0.1.1/24\n", errors, router.now),
            1U);
  EXPECT_NE(router.run("show running-config").find(" ip address 10.0.1.1/24\r\n"), std::string::npos);
}

TEST(Config, RunningConfigReproducesItself) {
  const std::string config =
      "hostname edge-1.lab\n!\n"
      "interface eth0\n description uplink to  r2\n mtu 1400\n ip address 10.0.1.1/24\n ip address "
      "192.168.0.1/30\n"
      " shutdown\nexit\n!\n"
      "interface eth1\n ip address 10.0.2.0/31\nexit\n!\n"
      "interface eth2\nexit\n!\n"
      "ip route 0.0.0.0/0 10.0.1.2\nip route 0.0.0.0/0 blackhole 250\nip route 10.0.0.0/8 10.0.1.9 eth1 7\n"
      "ip route 10.1.0.0/16 eth1\nip route 10.1.0.0/24 reject\nend\n";
  TestRouter router("");
  router.configure(config);
  std::string shown = router.run("show running-config");
  std::erase(shown, '\r');
  EXPECT_EQ(shown, config);
  TestRouter again("");
  again.configure(shown);
  std::string shown_again = again.run("show running-config");
  std::erase(shown_again, '\r');
  EXPECT_EQ(shown_again, config);
}

TEST(Config, NoUndoes) {
  TestRouter router(
      "interface eth0\n description x\n mtu 1400\n ip address 10.0.1.1/24\n shutdown\n"
      "ip route 0.0.0.0/0 10.0.1.2\nip route 10.0.0.0/8 Null0\nip route 11.0.0.0/8 eth0\nip route 12.0.0.0/8 "
      "reject\n"
      "ip route 13.0.0.0/8 10.0.1.2 eth0\n"
      "interface eth0\n no description\n no mtu\n no ip address 10.0.1.1/24\n no shutdown\n"
      "no ip route 0.0.0.0/0 10.0.1.2 1\nno ip route 10.0.0.0/8 blackhole\nno ip route 11.0.0.0/8 eth0\n"
      "no ip route 12.0.0.0/8 reject\nno ip route 13.0.0.0/8 10.0.1.2 eth0\n");
  EXPECT_EQ(router.run("show running-config"),
            "hostname r1\r\n!\r\ninterface eth0\r\nexit\r\n!\r\ninterface eth1\r\nexit\r\n!\r\n"
            "interface eth2\r\nexit\r\n!\r\nend\r\n");
}

TEST(Config, TooSmallAnArenaIsAnError) {
  const std::array<InterfaceConfig, 1> interfaces{{{"eth0", {}, 1500}}};
  std::vector<std::byte> memory(100);
  Arena arena(memory);
  ErrorList errors;
  EXPECT_EQ(validate_config("", interfaces, arena, errors), 1U);
  EXPECT_EQ(errors.text(),
            "0:0: '': there is not enough memory to check the configuration; "
            "give the arena more than 4096 bytes\n");
}

}  // namespace
}  // namespace patchbay::router::test
