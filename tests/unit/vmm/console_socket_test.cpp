#include "vmm/platform/console_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace patchbay::vmm {
namespace {

using devices::FileDescriptor;

class ConsoleSocketTest : public testing::Test {
 protected:
  ConsoleSocketTest() {
    std::string pattern = "/tmp/patchbay-console-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/console.sock";
    socket_ = std::make_unique<ConsoleSocket>(path_, [this](std::span<const std::byte> data) {
      input_.append(reinterpret_cast<const char*>(data.data()), data.size());
    });
  }
  ~ConsoleSocketTest() override {
    socket_.reset();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  FileDescriptor connect() {
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    socket_->handle();
    return fd;
  }
  void output(const std::string& text) { socket_->write(std::as_bytes(std::span(text))); }
  static std::string receive(const FileDescriptor& fd) {
    std::string text(256 * 1024, '\0');
    const ssize_t count = ::recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }
  /// Reads until nothing comes, letting the socket send more in between.
  std::string drain(const FileDescriptor& fd) {
    std::string all;
    for (std::string part = receive(fd); !part.empty(); part = receive(fd)) {
      all += part;
      socket_->handle();
    }
    return all;
  }
  [[nodiscard]] bool has_work() const {
    pollfd poll{socket_->poll_fd(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  std::string directory_;
  std::string path_;
  std::string input_;
  std::unique_ptr<ConsoleSocket> socket_;
};

TEST_F(ConsoleSocketTest, OnlyItsOwnerMayConnect) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(ConsoleSocketTest, EveryClientSeesOutputAndMayType) {
  const FileDescriptor first = connect();
  const FileDescriptor second = connect();
  output("login: ");
  EXPECT_EQ(receive(first), "login: ");
  EXPECT_EQ(receive(second), "login: ");
  EXPECT_FALSE(has_work());
  ASSERT_EQ(::send(first.get(), "ro", 2, 0), 2);
  EXPECT_TRUE(has_work());
  socket_->handle();
  ASSERT_EQ(::send(second.get(), "ot", 2, 0), 2);
  socket_->handle();
  EXPECT_EQ(input_, "root");
}

TEST_F(ConsoleSocketTest, NewClientsGetTheLast64KiB) {
  output(std::string(100'000, 'a') + "end");
  const FileDescriptor client = connect();
  const std::string text = drain(client);
  EXPECT_EQ(text.size(), ConsoleSocket::kScrollbackBytes);
  EXPECT_EQ(text.substr(text.size() - 4), "aend");
  output("more");
  EXPECT_EQ(receive(client), "more") << "the scrollback comes once";
}

TEST_F(ConsoleSocketTest, SlowClientHoldsNobodyUp) {
  const FileDescriptor slow = connect();
  const FileDescriptor quick = connect();
  std::string seen;
  for (int i = 0; i < 200; ++i) {
    output(std::string(10'000, static_cast<char>('a' + i % 26)));
    seen += drain(quick);
  }
  EXPECT_EQ(seen.size(), 2'000'000U);
  const std::string late = drain(slow);
  EXPECT_LT(late.size(), 2'000'000U) << "it missed some";
  EXPECT_EQ(late.substr(late.size() - 60'000), seen.substr(seen.size() - 60'000))
      << "but ends with the latest";
}

TEST_F(ConsoleSocketTest, ClientsComeAndGo) {
  for (int i = 0; i < 100; ++i) {
    FileDescriptor client = connect();
    output("x");
    client.reset();
    output("y");
    while (has_work())
      socket_->handle();
  }
  const FileDescriptor last = connect();
  EXPECT_EQ(drain(last).size(), 200U);
}

TEST_F(ConsoleSocketTest, StaleSocketIsReplacedAndOwnRemoved) {
  auto again = std::make_unique<ConsoleSocket>(path_, [](std::span<const std::byte>) {});
  again.reset();
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ConsoleSocketTest, BadPathsAreExplained) {
  const auto ignore = [](std::span<const std::byte>) {};
  EXPECT_THROW(ConsoleSocket(directory_ + "/" + std::string(200, 'x'), ignore), std::runtime_error);
  EXPECT_THROW(ConsoleSocket("/nonexistent/console.sock", ignore), std::runtime_error);
  const std::string file = directory_ + "/file";
  std::ofstream(file) << "precious";
  EXPECT_THROW(ConsoleSocket(file, ignore), std::runtime_error);
  EXPECT_EQ(::unlink(file.c_str()), 0) << "still there";
}

}  // namespace
}  // namespace patchbay::vmm
