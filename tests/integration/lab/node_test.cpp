// Linux nodes on the real kernel: what a command sees in one, and that its end leaves nothing behind.
#include "tools/node/linux_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <string>

#include "tools/node/command.h"
#include "tools/node/interface_setup.h"

namespace patchbay::tools {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class LinuxNodeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root for namespaces";
  }
  static CommandResult run(const LinuxNode& node, const std::string& shell,
                           std::chrono::milliseconds timeout = 10s) {
    return run_in_node(node.pid_fd(), {{"sh", "-c", shell}, {}}, timeout);
  }
};

TEST_F(LinuxNodeTest, HasItsOwnHostNameProcessesAndInterfaces) {
  const LinuxNode node({"h1", "", {}});
  EXPECT_EQ(run(node, "hostname").output, "h1\n");
  EXPECT_EQ(run(node, "ls /sys/class/net").output, "lo\n");
  EXPECT_EQ(run(node, "ip -o link show up | wc -l").output, "1\n");
  EXPECT_EQ(run(node, "cat /proc/1/comm").output, "patchbay-init\n");
  EXPECT_EQ(run(node, "ping -c 1 -W 1 127.0.0.1 >/dev/null").status, 0);
}

TEST_F(LinuxNodeTest, ReturnsOutputAndStatusOfCommands) {
  const LinuxNode node({"h1", "", {}});
  const CommandResult failed = run(node, "echo out; echo err >&2; exit 7");
  EXPECT_EQ(failed.output, "out\n");
  EXPECT_EQ(failed.error_output, "err\n");
  EXPECT_EQ(failed.status, 7);
  EXPECT_EQ(run(node, "kill -TERM $$").status, 128 + SIGTERM);
  EXPECT_EQ(run_in_node(node.pid_fd(), {{"printenv", "COLOUR"}, {{"COLOUR", "blue"}}}, 5s).output, "blue\n");
}

TEST_F(LinuxNodeTest, KillsCommandsThatTakeTooLong) {
  const LinuxNode node({"h1", "", {}});
  const CommandResult late = run(node, "echo begun; sleep 60", 300ms);
  EXPECT_TRUE(late.timed_out);
  EXPECT_EQ(late.status, 124);
  EXPECT_EQ(late.output, "begun\n");
}

TEST_F(LinuxNodeTest, DoesNotWaitForDaemons) {
  const LinuxNode node({"h1", "", {}});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(node, "sleep 30 & echo started").output, "started\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(LinuxNodeTest, NamesTheProgramThatDoesNotExist) {
  const LinuxNode node({"h1", "", {}});
  try {
    static_cast<void>(run_in_node(node.pid_fd(), {{"no-such-program"}, {}}, 5s));
    FAIL() << "started";
  } catch (const NodeError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot run 'no-such-program' in the node: starting the program: No such file or directory");
  }
}

TEST_F(LinuxNodeTest, ReapsOrphans) {
  const LinuxNode node({"h1", "", {}});
  EXPECT_EQ(run(node, "(sleep 0.05 &) ; sleep 0.3; ps -e -o stat= | grep -c Z").output, "0\n");
}

TEST_F(LinuxNodeTest, TakesItsProcessesAlong) {
  pid_t pid = 0;
  {
    const LinuxNode node({"h1", "", {}});
    pid = node.pid();
    run(node, "sleep 1000 &");
    ASSERT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_NE(::system(("pgrep -f '^sleep 1000$' >/dev/null")), 0);
}

TEST_F(LinuxNodeTest, DiesWithItsCreator) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t creator = ::fork();
  ASSERT_GE(creator, 0);
  if (creator == 0) {
    const LinuxNode node({"h1", "", {}});
    const pid_t pid = node.pid();
    if (::write(pipe_ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    for (;;)
      ::pause();
  }
  pid_t node = 0;
  ASSERT_EQ(::read(pipe_ends[0], &node, sizeof node), static_cast<ssize_t>(sizeof node));
  ASSERT_EQ(::kill(node, 0), 0);
  ::kill(creator, SIGKILL);
  ::waitpid(creator, nullptr, 0);
  // Nobody may be left to reap it here: a zombie counts as gone.
  std::string state;
  for (int i = 0; i < 100; ++i) {
    std::ifstream stat("/proc/" + std::to_string(node) + "/stat");
    std::string id, name;
    state.clear();
    if (!(stat >> id >> name >> state) || state == "Z") break;
    ::usleep(10'000);
  }
  EXPECT_TRUE(state.empty() || state == "Z") << state;
}

TEST_F(LinuxNodeTest, ShowsBindMountsAndHosts) {
  const std::string directory = testing::TempDir() + "node_test." + std::to_string(::getpid());
  ::mkdir(directory.c_str(), 0755);
  std::ofstream(directory + "/hosts") << "10.9.8.7 far\n";
  const LinuxNode node({"h1", directory + "/hosts", {{directory, "/mnt", true}}});
  EXPECT_EQ(run(node, "getent hosts far").output, "10.9.8.7        far\n");
  EXPECT_EQ(run(node, "cat /mnt/hosts").output, "10.9.8.7 far\n");
  EXPECT_NE(run(node, "touch /mnt/new").status, 0);
  EXPECT_NE(::access("/mnt/hosts", F_OK), 0) << "the mount is visible on the host";
  ::unlink((directory + "/hosts").c_str());
  ::rmdir(directory.c_str());
}

TEST_F(LinuxNodeTest, ReportsABindThatCannotBe) {
  try {
    const LinuxNode node({"h1", "", {{"/tmp", "/no/such/place", false}}});
    FAIL() << "created";
  } catch (const NodeError& error) {
    EXPECT_STREQ(error.what(),
                 "node 'h1': mounting /tmp at /no/such/place: No such file or directory; both must "
                 "exist and be of the same type (file or directory)");
  }
}

TEST_F(LinuxNodeTest, ConfiguresInterfaces) {
  const LinuxNode node({"h1", "", {}});
  ASSERT_EQ(run(node, "ip tuntap add dev eth1 mode tap").status, 0);
  InterfaceSetup setup(node.network_namespace());
  setup.apply({"eth1", 9500, "02:00:5e:10:00:01", {"10.0.1.2/24", "2001:db8::2/64"}});
  const std::string link = run(node, "ip link show eth1").output;
  EXPECT_THAT(link, HasSubstr("mtu 9500"));
  EXPECT_THAT(link, HasSubstr("UP"));
  EXPECT_THAT(link, HasSubstr("02:00:5e:10:00:01"));
  const std::string addresses = run(node, "ip addr show eth1").output;
  EXPECT_THAT(addresses, HasSubstr("inet 10.0.1.2/24"));
  EXPECT_THAT(addresses, HasSubstr("inet6 2001:db8::2/64"));
  EXPECT_THAT(addresses, testing::Not(HasSubstr("tentative")));
  try {
    setup.apply({"eth7", 0, "", {}});
    FAIL() << "applied";
  } catch (const NodeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("eth7: finding the interface"));
  }
}

}  // namespace
}  // namespace patchbay::tools
