// Commands through the whole path but for the guest's kernel: AgentChannel, its line, serial port, virtio device and
// its rings, then a thread in the kernel's place that moves bytes between the rings and a pseudo-terminal,
// where the real patchbay-agent listens.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "devices/console/virtio_console.h"
#include "tests/unit/devices/plain_driver.h"
#include "tools/control/protocol.h"
#include "tools/engine/agent_channel.h"
#include "tools/engine/agent_relay.h"
#include "tools/engine/serial_agent_line.h"

namespace patchbay::tools {
namespace {

using devices::console::SerialPort;
using devices::console::VirtioConsole;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// What the guest's kernel does: one port, opened by the agent.
class KernelDouble {
 public:
  explicit KernelDouble(SerialPort& port) : device_({&port}, doorbells_) {
    termios raw{};
    ::cfmakeraw(&raw);
    char path[64];
    if (::openpty(&master_, &slave_, path, &raw, nullptr) != 0)
      throw std::runtime_error("no pseudo-terminal");
    path_ = path;
    ::fcntl(master_, F_SETFL, O_NONBLOCK);
    ::fcntl(master_, F_SETFD, FD_CLOEXEC);
    ::fcntl(slave_, F_SETFD, FD_CLOEXEC);
    EXPECT_TRUE(driver_.start());
    for (std::size_t i = 0; i < kBuffers; ++i)
      post(ram_.allocate(kBufferBytes));
    driver_.kick(0);
  }
  ~KernelDouble() {
    stop_agent();
    ending_ = true;
    if (pump_.joinable()) pump_.join();
    ::close(master_);
    ::close(slave_);
  }

  void start_agent() {
    set_open(true);
    if (!pump_.joinable()) pump_ = std::thread([this] { pump(); });
    char program[] = PATCHBAY_AGENT;
    char* const words[] = {program, path_.data(), nullptr};
    ASSERT_EQ(::posix_spawn(&agent_, program, nullptr, nullptr, words, environ), 0);
  }
  void stop_agent() {
    if (agent_ <= 0) return;
    ::kill(agent_, SIGKILL);
    ::waitpid(agent_, nullptr, 0);
    agent_ = -1;
    set_open(false);
  }

 private:
  static constexpr std::size_t kBuffers = 16;
  static constexpr std::uint32_t kBufferBytes = 4096;

  void post(std::uint64_t address) {
    const auto head = driver_.ring(0).add({{address, kBufferBytes, true}});
    buffers_[*head] = address;
  }
  void set_open(bool open) {
    const std::uint64_t at = ram_.allocate(sizeof(VirtioConsole::Control));
    ram_.store(at, VirtioConsole::Control{0, VirtioConsole::kPortOpen, open});
    driver_.ring(VirtioConsole::kControlTransmit).add({{at, sizeof(VirtioConsole::Control)}});
    driver_.kick(VirtioConsole::kControlTransmit);
    EXPECT_TRUE(driver_.wait_used(VirtioConsole::kControlTransmit));
  }
  void pump() {
    const std::uint64_t out = ram_.allocate(kBufferBytes);
    bool sending = false;
    std::string to_agent;
    while (!ending_) {
      bool idle = true;
      if (sending && driver_.ring(1).poll()) sending = false;
      if (!sending) {
        const ssize_t count = ::read(master_, ram_.at(out), kBufferBytes);
        if (count > 0) {
          driver_.ring(1).add({{out, static_cast<std::uint32_t>(count)}});
          driver_.kick(1);
          sending = true;
          idle = false;
        }
      }
      if (to_agent.empty()) {
        if (const auto used = driver_.ring(0).poll()) {
          const std::uint64_t address = buffers_.at(used->id);
          to_agent.assign(reinterpret_cast<const char*>(ram_.at(address)), used->length);
          post(address);
          driver_.kick(0);
        }
      }
      if (!to_agent.empty()) {
        const ssize_t count = ::write(master_, to_agent.data(), to_agent.size());
        if (count > 0) {
          to_agent.erase(0, static_cast<std::size_t>(count));
          idle = false;
        }
      }
      if (idle) std::this_thread::sleep_for(100us);
    }
  }

  devices::testing::GuestRam ram_{4 << 20};
  devices::virtio::DoorbellThread doorbells_;
  VirtioConsole device_;
  devices::testing::PlainDriver driver_{ram_, device_};
  std::map<std::uint16_t, std::uint64_t> buffers_;
  int master_ = -1;
  int slave_ = -1;
  std::string path_;
  pid_t agent_ = -1;
  std::atomic<bool> ending_{false};
  std::thread pump_;
};

struct AgentTest : ::testing::Test {
  SerialPort port{agent::kPortName};
  KernelDouble kernel{port};
  boost::asio::io_context loop;
  unsigned hellos = 0;
  SerialAgentLine line{loop, port};
  AgentChannel channel{loop, line, [this] { ++hellos; }};

  void SetUp() override {
    kernel.start_agent();
    run_until([this] { return channel.connected(); });
    ASSERT_TRUE(channel.connected());
  }
  template <typename Done>
  void run_until(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done() && std::chrono::steady_clock::now() < deadline)
      loop.run_one_for(10ms);
    EXPECT_TRUE(done());
  }
  CommandResult run(std::vector<std::string> words, std::chrono::milliseconds timeout = 10s) {
    std::optional<CommandResult> result;
    channel.run({std::move(words), {{"PATCHBAY_TEST", "a value"}}}, timeout,
                [&](CommandResult ended) { result = std::move(ended); });
    run_until([&] { return result.has_value(); });
    return result.value_or(CommandResult{});
  }
};

TEST_F(AgentTest, RunsACommandWithItsOutputsAndStatus) {
  const CommandResult result = run({"sh", "-c", "echo out; echo err >&2; echo $PATCHBAY_TEST; exit 7"});
  EXPECT_EQ(result.output, "out\na value\n");
  EXPECT_EQ(result.error_output, "err\n");
  EXPECT_EQ(result.status, 7);
  EXPECT_EQ(hellos, 1U);
}

TEST_F(AgentTest, TellsWhyACommandDidNotRun) {
  const CommandResult absent = run({"patchbay-no-such-program"});
  EXPECT_EQ(absent.status, 127);
  EXPECT_THAT(absent.error_output, HasSubstr("No such file"));
  EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).status, 128 + 9);
}

TEST_F(AgentTest, GivesNoInputByDefault) {
  EXPECT_EQ(run({"cat"}).status, 0);
}

TEST_F(AgentTest, KillsACommandThatTakesTooLong) {
  const CommandResult result = run({"sh", "-c", "echo begun; sleep 100"}, 500ms);
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.status, 124);
  EXPECT_EQ(result.output, "begun\n");
}

TEST_F(AgentTest, DoesNotWaitForDaemons) {
  const CommandResult result = run({"sh", "-c", "sleep 20 & echo started $!"});
  EXPECT_EQ(result.status, 0);
  ASSERT_THAT(result.output, HasSubstr("started "));
  ::kill(std::stoi(result.output.substr(8)), SIGKILL);
}

TEST_F(AgentTest, RunsManyCommandsAtATimeWithMuchOutput) {
  constexpr int kCommands = 12;
  std::vector<CommandResult> results;
  for (int i = 0; i < kCommands; ++i) {
    channel.run(
        {{"sh", "-c", "head -c 600000 /dev/zero | tr '\\0' " + std::string(1, static_cast<char>('a' + i))},
         {}},
        30s, [&](CommandResult result) { results.push_back(std::move(result)); });
  }
  run_until([&] { return results.size() == kCommands; });
  for (const CommandResult& result : results) {
    EXPECT_EQ(result.status, 0);
    ASSERT_EQ(result.output.size(), 600000U);
    EXPECT_EQ(result.output, std::string(600000, result.output.front()));
  }
}

TEST_F(AgentTest, LosesItsCommandsWithTheAgentAndServesTheNextOne) {
  std::optional<CommandResult> lost;
  channel.run({{"sleep", "100"}, {}}, 60s, [&](CommandResult result) { lost = std::move(result); });
  loop.run_for(200ms);
  kernel.stop_agent();
  run_until([&] { return lost.has_value(); });
  EXPECT_EQ(lost->status, AgentChannel::kLost);
  EXPECT_FALSE(channel.connected());
  EXPECT_THROW(static_cast<void>(channel.start({{"true"}, {}}, nullptr)), control::RequestError);
  kernel.start_agent();
  run_until([&] { return channel.connected(); });
  EXPECT_EQ(run({"echo", "again"}).output, "again\n");
  EXPECT_EQ(hellos, 2U);
}

TEST_F(AgentTest, RefusesCommandsThatAreTooLong) {
  EXPECT_THROW(static_cast<void>(channel.start({{"echo", std::string(70'000, 'x')}, {}}, nullptr)),
               control::RequestError);
}

/// The client's end of a relayed command.
struct Client {
  Client() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("no sockets");
    mine.reset(ends[0]);
    theirs.reset(ends[1]);
    ::fcntl(mine.get(), F_SETFL, O_NONBLOCK);
  }
  void send(agent::Type type, std::string_view payload) {
    std::string frame(agent::FrameHeader::kBytes, '\0');
    agent::FrameHeader{0, type, static_cast<std::uint32_t>(payload.size())}.encode(frame.data());
    to_send += frame.append(payload);
  }
  /// Sends and receives what can be now; true once the command has ended.
  bool progress() {
    const ssize_t sent = ::send(mine.get(), to_send.data(), to_send.size(), MSG_NOSIGNAL);
    if (sent > 0) to_send.erase(0, static_cast<std::size_t>(sent));
    char buffer[65536];
    const ssize_t count = ::recv(mine.get(), buffer, sizeof buffer, 0);
    if (count == 0) closed = true;
    if (count > 0) received.append(buffer, static_cast<std::size_t>(count));
    while (received.size() >= agent::FrameHeader::kBytes) {
      const auto header = agent::FrameHeader::decode(received.data());
      if (received.size() < agent::FrameHeader::kBytes + header.length) break;
      const std::string payload = received.substr(agent::FrameHeader::kBytes, header.length);
      received.erase(0, agent::FrameHeader::kBytes + header.length);
      if (header.type == agent::Type::output) output += payload;
      if (header.type == agent::Type::exit) {
        status = 0;
        std::memcpy(&*status, payload.data(), sizeof *status);
      }
    }
    return status.has_value();
  }

  vswitch::FileDescriptor mine, theirs;
  std::string to_send, received, output;
  std::optional<std::int32_t> status;
  bool closed = false;
};

TEST_F(AgentTest, RelaysInputAndOutputOfAClient) {
  Client client;
  relay_command(loop, channel, {{"tr", "a-z", "A-Z"}, {}}, std::move(client.theirs));
  std::string text;
  for (int i = 0; i < 30; ++i) {
    text += std::string(10'000, static_cast<char>('a' + i % 26));
    client.send(agent::Type::input, std::string_view(text).substr(text.size() - 10'000));
  }
  client.send(agent::Type::input, {});
  run_until([&] { return client.progress(); });
  EXPECT_EQ(client.status, 0);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  EXPECT_EQ(client.output, text);
}

TEST_F(AgentTest, PassesSignalsOn) {
  Client client;
  relay_command(
      loop, channel,
      {{"sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"}, {}},
      std::move(client.theirs));
  run_until([&] { return client.progress() || client.output == "ready\n"; });
  const std::uint32_t number = SIGINT;
  client.send(agent::Type::signal, {reinterpret_cast<const char*>(&number), sizeof number});
  run_until([&] { return client.progress(); });
  EXPECT_EQ(client.status, 3);
  EXPECT_EQ(client.output, "ready\ncaught\n");
}

TEST_F(AgentTest, KillsTheCommandOfAClientThatGoesAway) {
  const std::string mark = "/tmp/patchbay-agent-test." + std::to_string(::getpid());
  {
    Client client;
    relay_command(loop, channel, {{"sh", "-c", "echo $$ >" + mark + "; exec sleep 100"}, {}},
                  std::move(client.theirs));
    run_until([&] { return ::access(mark.c_str(), F_OK) == 0; });
  }
  int pid = 0;
  run_until([&] {
    const std::string shown = run({"cat", mark}).output;
    return !shown.empty() && (pid = std::stoi(shown)) > 0;
  });
  run_until([&] { return ::kill(pid, 0) != 0; });
  ::unlink(mark.c_str());
}

TEST_F(AgentTest, DropsAClientThatBreaksTheProtocol) {
  Client client;
  relay_command(loop, channel, {{"sleep", "100"}, {}}, std::move(client.theirs));
  client.send(agent::Type::hello, "what?");
  run_until([&] { return client.progress() || client.closed; });
  EXPECT_TRUE(client.closed);
}

}  // namespace
}  // namespace patchbay::tools
