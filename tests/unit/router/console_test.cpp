// The console: editing, modes, help, show commands, ping.
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

class ConsoleTest : public testing::Test {
 protected:
  /// Types and returns everything that was printed, echo included.
  std::string type(const std::string& text) {
    router_.terminal.take();
    router_.type(text);
    return router_.terminal.take();
  }
  TestRouter router_;
};

TEST_F(ConsoleTest, BannerAndPrompt) {
  router_.router().console().start();
  EXPECT_EQ(router_.terminal.take(), "\r\nPatchbay router 1.2.3. Type '?' or 'help' for help.\r\n\r\nr1# ");
}

TEST_F(ConsoleTest, Editing) {
  EXPECT_EQ(type("shw\x7Fow vx\b"), "shw\b \bow vx\b \b");
  EXPECT_EQ(type("\x15"), "\b \b\b \b\b \b\b \b\b \b\b \b");  // ^U: "show v"
  EXPECT_EQ(type("\x7F"), "");
  EXPECT_EQ(type("ab cd\x17"), "ab cd\b \b\b \b");
  EXPECT_EQ(type("\x03"), "^C\r\nr1# ");
  EXPECT_EQ(type("\r"), "\r\nr1# ");
  EXPECT_EQ(type("\r\n"), "\r\nr1# ");
  EXPECT_EQ(type("\n"), "\r\nr1# ");
  EXPECT_EQ(type("\x01\x02\xC3\xA4"), "");  // not printable, not ours
}

TEST_F(ConsoleTest, LinesHaveALimit) {
  type(std::string(1000, 'x'));
  const std::string output = type("\r");
  EXPECT_NE(output.find("is not a command"), std::string::npos);
}

TEST_F(ConsoleTest, History) {
  type("show version\r");
  type("show arp\r");
  EXPECT_EQ(type("\x1B[A"), "show arp");
  EXPECT_EQ(type("\x1B[A"), "\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \bshow version");
  type("\x1B[A");  // no older one
  EXPECT_NE(type("\r").find("Patchbay router 1.2.3"), std::string::npos);
  EXPECT_EQ(
      type("\x1B[A\x1B[B"), "show version" + [] {
        std::string erased;
        for (int i = 0; i < 12; ++i)
          erased += "\b \b";
        return erased;
      }());
  EXPECT_EQ(type("\x1B[1;5C\x1BOx"), "x");    // other keys do nothing; ESC O is not one we know
  EXPECT_EQ(type("\x1B\x03"), "^C\r\nr1# ");  // a lone escape does not swallow what follows
}

TEST_F(ConsoleTest, UnknownAmbiguousIncomplete) {
  EXPECT_EQ(
      router_.run("frobnicate"),
      "% 'frobnicate' is not a command; write 'show', 'clear', 'configure', 'ping', 'help', 'exit', 'quit', "
      "'enable' or 'terminal'\r\n");
  EXPECT_EQ(router_.run("c"), "% 'c' is ambiguous; write 'clear' or 'configure'\r\n");
  EXPECT_EQ(router_.run("show ip"), "% the command is incomplete; write 'route' or 'arp'\r\n");
  EXPECT_EQ(router_.run("show interface eth9"), "% there is no interface 'eth9'\r\n");
  EXPECT_EQ(router_.run("ping 10.0.0"),
            "% '10.0.0' is not an IPv4 address; write an IPv4 address such as 10.0.1.1\r\n");
}

TEST_F(ConsoleTest, ShowInterfaceBrief) {
  router_.configure(
      "interface eth1\n shutdown\ninterface eth2\n no ip address 10.0.3.1/24\ninterface eth0\n ip address "
      "192.168.1.1/30\n");
  EXPECT_EQ(router_.run("sh int br"),
            "Interface       Status  Protocol  Addresses\r\n"
            "---------       ------  --------  ---------\r\n"
            "eth0            up      up        10.0.1.1/24\r\n"
            "                                  192.168.1.1/30\r\n"
            "eth1            down    down      10.0.2.1/24\r\n"
            "eth2            up      up        unassigned\r\n");
}

TEST_F(ConsoleTest, ShowInterface) {
  router_.configure("interface eth0\n description to the host\n mtu 1400\n");
  router_.run("clear counters");
  router_.meet(0, 2);
  EXPECT_EQ(router_.run("show interface eth0"),
            "Interface eth0 is up, line protocol is up\r\n"
            "  Description: to the host\r\n"
            "  HWaddr: 02:00:00:00:ff:00\r\n"
            "  mtu 1400\r\n"
            "  inet 10.0.1.1/24\r\n"
            "  received: 1 frames, 42 bytes, 0 dropped\r\n"
            "  sent: 1 frames, 42 bytes, 0 dropped\r\n");
  router_.router().set_link(0, false, router_.now);
  EXPECT_EQ(router_.run("show interface eth0").substr(0, 43), "Interface eth0 is up, line protocol is down");
  router_.configure("interface eth0\n shutdown\n");
  EXPECT_EQ(router_.run("show interface eth0").substr(0, 59),
            "Interface eth0 is administratively down, line protocol is d");
  EXPECT_NE(router_.run("show interface").find("Interface eth2 is up"), std::string::npos);
}

TEST_F(ConsoleTest, ShowIpRoute) {
  router_.configure(
      "ip route 0.0.0.0/0 10.0.1.2\nip route 0.0.0.0/0 10.0.2.2 5\nip route 10.8.0.0/16 192.0.2.1\n"
      "ip route 10.7.0.0/16 blackhole\nip route 10.6.0.0/16 eth1\n");
  EXPECT_EQ(router_.run("show ip route"),
            "Codes: C - connected, L - local, S - static,\r\n"
            "       > - selected route, * - FIB route\r\n"
            "\r\n"
            "S>* 0.0.0.0/0 [1/0] via 10.0.1.2, eth0\r\n"
            "S   0.0.0.0/0 [5/0] via 10.0.2.2, eth1\r\n"
            "C>* 10.0.1.0/24 is directly connected, eth0\r\n"
            "L>* 10.0.1.1/32 is directly connected, eth0\r\n"
            "C>* 10.0.2.0/24 is directly connected, eth1\r\n"
            "L>* 10.0.2.1/32 is directly connected, eth1\r\n"
            "C>* 10.0.3.0/24 is directly connected, eth2\r\n"
            "L>* 10.0.3.1/32 is directly connected, eth2\r\n"
            "S>* 10.6.0.0/16 [1/0] is directly connected, eth1\r\n"
            "S>* 10.7.0.0/16 [1/0] blackhole\r\n"
            "S   10.8.0.0/16 [1/0] via 192.0.2.1 inactive\r\n"
            "S>* 10.9.0.0/16 [1/0] via 10.0.3.9, eth2\r\n");
}

TEST_F(ConsoleTest, ShowArp) {
  router_.meet(0, 2);
  router_.advance(5 * kSecond);
  router_.receive(0, from_host(0, 2, ipv4({})));
  EXPECT_EQ(router_.run("show arp"),
            "Address         Interface       HWaddr            State      Age\r\n"
            "10.0.1.2        eth0            02:00:00:00:00:02 reachable  00:00:05\r\n"
            "10.0.2.2        eth1            -                 incomplete -\r\n");
  EXPECT_EQ(router_.run("show ip arp"), router_.run("show arp"));
  router_.run("clear arp");
  EXPECT_EQ(router_.run("show arp"), "Address         Interface       HWaddr            State      Age\r\n");
}

TEST_F(ConsoleTest, ShowCountersAndClear) {
  router_.run("clear counters");
  router_.meet_everybody();
  router_.receive(0, from_host(0, 2, ipv4({})));
  router_.receive(0, from_host(0, 2, ipv4({.ttl = 1})));
  EXPECT_EQ(router_.run("show counters"),
            "Packets\r\n"
            "  received                5\r\n"
            "  forwarded               1\r\n"
            "  consumed                3\r\n"
            "  originated              4\r\n"
            "  transmitted             5\r\n"
            "  fragmented              0\r\n"
            "  fragments_made          0\r\n"
            "  held                    0\r\n"
            "  icmp_errors             1\r\n"
            "  icmp_suppressed         0\r\n"
            "Dropped\r\n"
            "  ttl_expired             1\r\n"
            "  total                   1\r\n");
  router_.receive(0, from_host(0, 2, ipv4({.destination = "10.0.2.77"})));  // held
  router_.run("clear counters");
  EXPECT_EQ(router_.counters().held, 1U);
  EXPECT_TRUE(router_.counters().balanced());
}

TEST_F(ConsoleTest, ShowVersion) {
  router_.advance(3725 * kSecond);
  EXPECT_EQ(router_.run("show version").substr(0, 45), "Patchbay router 1.2.3\r\nr1 is up 01:02:05\r\n3 i");
}

TEST_F(ConsoleTest, ConfigureModes) {
  EXPECT_EQ(type("configure terminal\r"), "configure terminal\r\nr1(config)# ");
  EXPECT_EQ(type("hostname r9\r"), "hostname r9\r\nr9(config)# ");
  EXPECT_EQ(type("int eth0\r"), "int eth0\r\nr9(config-if)# ");
  EXPECT_EQ(type("ip address 10.0.1.300/24\r"),
            "ip address 10.0.1.300/24\r\n% '10.0.1.300/24' is not an IPv4 address with a prefix length; "
            "write an IPv4 "
            "address with a prefix length such as 10.0.1.1/24\r\nr9(config-if)# ");
  EXPECT_EQ(type("do show ip route 10.0.1.1\r"),
            "do show ip route 10.0.1.1\r\n10.0.1.1 is an address of this router, eth0\r\nr9(config-if)# ");
  EXPECT_EQ(type("exit\r"), "exit\r\nr9(config)# ");
  EXPECT_EQ(type("int eth1\rip route 1.0.0.0/8 10.0.2.2\r"),
            "int eth1\r\nr9(config-if)# ip route 1.0.0.0/8 10.0.2.2\r\nr9(config)# ");
  EXPECT_EQ(type("int eth1\rend\r"), "int eth1\r\nr9(config-if)# end\r\nr9# ");
  EXPECT_EQ(type("conf\rexit\r"), "conf\r\nr9(config)# exit\r\nr9# ");
  EXPECT_EQ(type("conf t\r\x04"), "conf t\r\nr9(config)# \r\nr9# ");
  EXPECT_EQ(type("conf t\r\x03"), "conf t\r\nr9(config)# ^C\r\nr9# ");
}

TEST_F(ConsoleTest, LiveConfigurationTakesEffect) {
  router_.meet_everybody();
  type("conf t\rip route 192.0.2.0/24 10.0.2.2\rend\r");
  router_.receive(0, from_host(0, 2, ipv4({.destination = "192.0.2.7"})));
  EXPECT_EQ(head(router_.take(1), 6), host_mac(1, 2));
  type("conf t\rno ip route 192.0.2.0/24 10.0.2.2\rend\r");
  router_.receive(0, from_host(0, 2, ipv4({.destination = "192.0.2.7"})));
  EXPECT_EQ(get16(router_.take(0), 34), 0x0300U);
}

TEST_F(ConsoleTest, HelpInTheMiddleOfALine) {
  EXPECT_EQ(type("show i?"),
            "show i?\r\n"
            "  show interface                                  Interfaces with addresses and counters\r\n"
            "  show interface brief                            Interfaces, one a line\r\n"
            "  show interface IFNAME                           One interface\r\n"
            "  show ip route                                   The routing table\r\n"
            "  show ip route A.B.C.D                           The route that packets to an address take\r\n"
            "  show ip arp                                     The neighbour table\r\n"
            "r1# show i");
  EXPECT_NE(type("\x15?").find("  ping A.B.C.D "), std::string::npos);
  EXPECT_EQ(type("xyz?"), "xyz?\r\n% there is no command that begins like this\r\nr1# xyz");
}

TEST_F(ConsoleTest, HelpInConfiguration) {
  type("conf t\rint eth0\r");
  const std::string help = type("?");
  EXPECT_NE(help.find("  ip address A.B.C.D/M "), std::string::npos);
  EXPECT_NE(help.find("  ip route A.B.C.D/M A.B.C.D [(1-255)] "), std::string::npos);
}

TEST_F(ConsoleTest, Completion) {
  EXPECT_EQ(type("sh\t"), "show ");
  EXPECT_EQ(type("i\t"), "i");  // interface or ip
  EXPECT_EQ(type("n\t"), "nterface ");
  EXPECT_EQ(type("\t"), "");
  EXPECT_EQ(type("b\t"), "brief ");
}

TEST_F(ConsoleTest, PingAnswered) {
  router_.meet(0, 2);
  router_.terminal.take();
  router_.type("ping 10.0.1.2 count 2 size 8\r");
  EXPECT_EQ(router_.terminal.take(), "ping 10.0.1.2 count 2 size 8\r\nPING 10.0.1.2: 8 data bytes\r\n");
  for (unsigned sequence = 1; sequence <= 2; ++sequence) {
    router_.advance(sequence == 1 ? 0 : 1000 * kMillisecond - 1'500'000);
    const Bytes request = router_.take(0);
    EXPECT_EQ(head(request, 6), host_mac(0, 2));
    EXPECT_EQ(get32(request, 26), ip("10.0.1.1"));
    EXPECT_EQ(get32(request, 30), ip("10.0.1.2"));
    EXPECT_EQ(request.size(), 14U + 20 + 8 + 8);
    EXPECT_EQ(reference_checksum(request, 14, 20), 0);
    EXPECT_EQ(reference_checksum(request, 34, 16), 0);
    EXPECT_EQ(get16(request, 34), 0x0800U);
    EXPECT_EQ(get16(request, 40), sequence);
    router_.now += 1'500'000;
    Bytes data = tail(request, 42);
    router_.receive(0, from_host(0, 2,
                                 ipv4({.source = "10.0.1.2",
                                       .destination = "10.0.1.1",
                                       .ttl = 63,
                                       .protocol = 1,
                                       .payload = icmp(0, 0, get32(request, 38), data)})));
  }
  EXPECT_EQ(router_.terminal.take(),
            "16 bytes from 10.0.1.2: seq=1 ttl=63 time=1.500 ms\r\n"
            "16 bytes from 10.0.1.2: seq=2 ttl=63 time=1.500 ms\r\n");
  router_.advance(0);
  EXPECT_EQ(router_.terminal.take(),
            "--- 10.0.1.2 ping statistics ---\r\n"
            "2 packets transmitted, 2 received, 0% packet loss\r\n"
            "round-trip min/avg/max = 1.500/1.500/1.500 ms\r\n"
            "r1# ");
  EXPECT_TRUE(router_.silent());
}

TEST_F(ConsoleTest, PingUnanswered) {
  router_.type("ping 10.0.1.2 count 2\r");
  router_.terminal.take();
  router_.advance(2 * kSecond);
  EXPECT_EQ(router_.terminal.take(),
            "no answer from 10.0.1.2: seq=1\r\n"
            "no answer from 10.0.1.2: seq=2\r\n"
            "--- 10.0.1.2 ping statistics ---\r\n"
            "2 packets transmitted, 0 received, 100% packet loss\r\n"
            "r1# ");
}

TEST_F(ConsoleTest, PingOwnAddress) {
  router_.type("ping 10.0.2.1 count 1\r");
  router_.advance(0);
  EXPECT_NE(router_.terminal.take().find("64 bytes from 10.0.2.1: seq=1 ttl=64 time=0.000 ms\r\n"),
            std::string::npos);
  EXPECT_TRUE(router_.silent());
}

TEST_F(ConsoleTest, PingWithoutRoute) {
  router_.type("ping 192.0.2.1\r");
  router_.terminal.take();
  router_.advance(0);
  EXPECT_EQ(router_.terminal.take(),
            "no route to 192.0.2.1\r\n--- 192.0.2.1 ping statistics ---\r\n"
            "1 packets transmitted, 0 received, 100% packet loss\r\nr1# ");
}

TEST_F(ConsoleTest, PingTooLargeForTheDriver) {
  router_.type("ping 10.0.1.2 size 20000\r");
  router_.terminal.take();
  router_.advance(0);
  EXPECT_EQ(router_.terminal.take().substr(0, 39), "no buffer for a packet of this size\r\n--");
}

TEST_F(ConsoleTest, PingReportsErrorsOfRoutersOnTheWay) {
  router_.meet(2, 9);
  router_.type("ping 10.9.0.1 count 1\r");
  router_.advance(0);
  const Bytes request = tail(router_.take(2), 14);
  router_.terminal.take();
  const auto error = [&](unsigned type, unsigned code, const Bytes& quoted) {
    router_.receive(2, from_host(2, 9,
                                 ipv4({.source = "10.0.3.9",
                                       .destination = "10.0.3.1",
                                       .protocol = 1,
                                       .payload = icmp(type, code, 0, quoted)})));
  };
  // About somebody else's packet, or too short: not ours.
  Bytes other = request;
  other[25] = static_cast<std::uint8_t>(other[25] ^ 1);
  error(3, 1, other);
  for (std::size_t length = 0; length < 28; ++length)
    error(3, 1, head(request, length));
  EXPECT_EQ(router_.terminal.take(), "");
  error(3, 1, head(request, 28));
  EXPECT_EQ(router_.terminal.take(), "from 10.0.3.9: seq=1 destination host unreachable\r\n");
  error(3, 1, head(request, 28));  // once is enough
  EXPECT_EQ(router_.terminal.take(), "");
}

TEST_F(ConsoleTest, ForgedAnswersAreNotTaken) {
  router_.meet(0, 2);
  router_.type("ping 10.0.1.2 count 1\r");
  router_.advance(0);
  const Bytes request = router_.take(0);
  router_.terminal.take();
  const auto answer = [&](std::uint32_t rest, std::size_t size) {
    router_.receive(0, from_host(0, 2,
                                 ipv4({.source = "10.0.1.2",
                                       .destination = "10.0.1.1",
                                       .protocol = 1,
                                       .payload = icmp(0, 0, rest, Bytes(size, 0))})));
  };
  answer(get32(request, 38) + 1, 56);
  answer(get32(request, 38) ^ 0x10000, 56);
  answer(get32(request, 38), 55);
  EXPECT_EQ(router_.terminal.take(), "");
  EXPECT_EQ(router_.drops(DropReason::unhandled_icmp), 3U);
}

TEST_F(ConsoleTest, PingIsInterruptedAndTypeAheadWaits) {
  router_.type("ping 10.0.1.2\r");
  router_.advance(0);
  router_.terminal.take();
  EXPECT_EQ(type("show arp\r"), "");
  EXPECT_EQ(type("\x03"),
            "^C\r\n--- 10.0.1.2 ping statistics ---\r\n1 packets transmitted, 0 received, 100% packet "
            "loss\r\nr1# ");
  // What waited was thrown away with the interruption; after a regular end it is taken.
  router_.type("ping 10.0.1.2 count 1\r");
  router_.advance(0);
  router_.type("show ip route 10.0.1.1\r");
  router_.terminal.take();
  router_.advance(kSecond);
  EXPECT_NE(router_.terminal.take().find(
                "r1# show ip route 10.0.1.1\r\n10.0.1.1 is an address of this router, eth0\r\nr1# "),
            std::string::npos);
}

TEST_F(ConsoleTest, TypeAheadIsBounded) {
  router_.type("ping 10.0.1.2 count 1\r");
  router_.type(std::string(100'000, 'x') + "\r");
  router_.advance(kSecond);
  router_.advance(kSecond);
}

}  // namespace
}  // namespace patchbay::router::test
