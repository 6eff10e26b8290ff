#include "tools/engine/qemu/socket_agent_line.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>

#include "tests/unit/engine/qemu/run_ready.h"
#include "tools/agent/protocol.h"

namespace patchbay::tools::qemu {
namespace {

using testing::run_ready;
using vswitch::FileDescriptor;

std::string hello() {
  std::string frame(agent::FrameHeader::kBytes, '\0');
  agent::FrameHeader{0, agent::Type::hello, 4}.encode(frame.data());
  return frame + std::string(1, static_cast<char>(agent::kVersion)) + std::string(3, '\0');
}

struct SocketAgentLineTest : ::testing::Test {
  boost::asio::io_context loop;
  SocketAgentLine line{loop};
  FileDescriptor qemu;
  unsigned changes = 0;

  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    qemu.reset(ends[0]);
    line.watch([this] { ++changes; });
    line.attach(FileDescriptor(ends[1]), [] {});
  }
  void send(const std::string& text) {
    ASSERT_EQ(::send(qemu.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    run_ready(loop);
  }
  std::string read() {
    std::string all;
    std::array<std::byte, 7> buffer;  // smaller than what comes
    for (std::size_t count = 0; (count = line.read(buffer)) != 0;)
      all.append(reinterpret_cast<const char*>(buffer.data()), count);
    return all;
  }
};

TEST_F(SocketAgentLineTest, AStreamBeginsWithTheAgentsHello) {
  line.set_open(true);
  EXPECT_EQ(line.openings(), 1u);
  send("rest of another" + hello().substr(0, 6));
  EXPECT_EQ(read(), "");
  send(hello().substr(0, 5));
  EXPECT_EQ(read(), "");
  send(hello() + "frames");
  EXPECT_EQ(read(), hello() + "frames");
  send("more");
  EXPECT_EQ(read(), "more");
  EXPECT_GE(changes, 4u);
}

TEST_F(SocketAgentLineTest, NothingOfAStreamOutlivesIt) {
  line.set_open(true);
  send(hello() + "unread");
  line.set_open(false);
  EXPECT_FALSE(line.is_open());
  EXPECT_EQ(read(), "");
  line.set_open(true);
  EXPECT_EQ(line.openings(), 2u);
  EXPECT_EQ(read(), "");
  line.set_open(false);
  send("of an agent that is gone");
  line.set_open(true);
  send(hello());
  EXPECT_EQ(read(), hello());
}

TEST_F(SocketAgentLineTest, WritesOnlyWhileTheGuestListens) {
  const std::string text = "command";
  const auto bytes = std::as_bytes(std::span(text));
  EXPECT_EQ(line.write(bytes), 0u);
  line.set_open(true);
  EXPECT_EQ(line.write(bytes), text.size());
  std::size_t written = 0;
  std::size_t last = 0;
  const std::string much(10'000, 'x');
  while ((last = line.write(std::as_bytes(std::span(much)))) != 0)
    written += last;
  EXPECT_GT(written, 0u);
  const unsigned before = changes;
  std::string taken(1 << 20, '\0');
  while (::recv(qemu.get(), taken.data(), taken.size(), MSG_DONTWAIT) > 0) {
  }
  run_ready(loop);
  EXPECT_GT(changes, before) << "there is room again";
}

TEST_F(SocketAgentLineTest, AQemuThatIsGoneIsNoBusyLoop) {
  line.set_open(true);
  qemu.reset();
  run_ready(loop);
  EXPECT_EQ(read(), "");
  const unsigned before = changes;
  run_ready(loop);
  EXPECT_LE(changes, before + 1);
  line.detach();
  EXPECT_FALSE(line.is_open());
}

}  // namespace
}  // namespace patchbay::tools::qemu
