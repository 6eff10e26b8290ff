// Server and client sockets: connecting, one peer at a time, coming back.
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "devices/vhost_user/endpoint.h"
#include "tests/unit/vhost_user/session_fixture.h"

namespace patchbay::devices::testing {
namespace {

using vhost_user::Endpoint;
using vhost_user::VhostUserPort;

class EndpointTest : public ::testing::Test {
 protected:
  EndpointTest() : path_("/tmp/patchbay-vhost-test." + std::to_string(::getpid())) {}
  ~EndpointTest() override { ::unlink(path_.c_str()); }

  [[nodiscard]] sockaddr_un address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  [[nodiscard]] FileDescriptor connect() const {
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un to = address();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
    return socket;
  }
  [[nodiscard]] FileDescriptor listen() const {
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un at = address();
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(socket.get(), 1) != 0) {
      return {};
    }
    return socket;
  }
  /// Handles events until `done`; false after two seconds.
  template <typename Condition>
  bool handle_until(Endpoint& endpoint, Condition done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      pollfd request{endpoint.fd(), POLLIN, 0};
      if (::poll(&request, 1, 50) == 1) endpoint.handle();
    }
    return true;
  }

  std::string path_;
  VhostUserPort port_{"x1:eth1", {}};
};

TEST_F(EndpointTest, AServerTakesOneFrontEndAtATimeAndTheNextAfterIt) {
  Endpoint endpoint(path_, Endpoint::Role::server, port_);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_FALSE(endpoint.state().connected);

  FileDescriptor first = connect();
  ASSERT_TRUE(handle_until(endpoint, [&] { return endpoint.state().connected; }));
  const FileDescriptor second = connect();
  ASSERT_TRUE(handle_until(endpoint, [&] { return !endpoint.state().last_error.empty(); }));
  char byte = 0;
  EXPECT_EQ(::recv(second.get(), &byte, 1, 0), 0) << "turned away";
  EXPECT_TRUE(endpoint.state().connected);

  first.reset();
  ASSERT_TRUE(handle_until(endpoint, [&] { return !endpoint.state().connected; }));
  EXPECT_EQ(endpoint.state().last_error, "the peer closed the connection");
  const FileDescriptor third = connect();
  ASSERT_TRUE(handle_until(endpoint, [&] { return endpoint.state().connected; }));
  EXPECT_EQ(endpoint.state().connections, 2U);
}

// epoll reports the listener first where it was ready before.
TEST_F(EndpointTest, AFrontEndThatComesBackBeforeItsEndWasHandledIsTaken) {
  Endpoint endpoint(path_, Endpoint::Role::server, port_);
  FileDescriptor first = connect();
  endpoint.handle();
  ASSERT_TRUE(endpoint.state().connected);
  first.reset();
  const FileDescriptor second = connect();
  endpoint.handle();
  EXPECT_TRUE(endpoint.state().connected);
  EXPECT_EQ(endpoint.state().connections, 2U);
  EXPECT_EQ(endpoint.state().last_error, "");
}

TEST_F(EndpointTest, AClientKeepsTrying) {
  Endpoint endpoint(path_, Endpoint::Role::client, port_);
  EXPECT_FALSE(endpoint.state().connected);
  FileDescriptor listener = listen();
  ASSERT_TRUE(listener);
  ASSERT_TRUE(handle_until(endpoint, [&] { return endpoint.state().connected; }));
  FileDescriptor accepted(::accept(listener.get(), nullptr, nullptr));
  accepted.reset();
  ASSERT_TRUE(handle_until(endpoint, [&] { return !endpoint.state().connected; }));
  ASSERT_TRUE(handle_until(endpoint, [&] { return endpoint.state().connected; }));
  EXPECT_EQ(endpoint.state().connections, 2U);
}

TEST_F(EndpointTest, PathsAreChecked) {
  EXPECT_THROW(Endpoint(std::string(200, 'x'), Endpoint::Role::client, port_), std::runtime_error);
  EXPECT_THROW(Endpoint("", Endpoint::Role::server, port_), std::runtime_error);
  EXPECT_THROW(Endpoint("/nonexistent/socket", Endpoint::Role::server, port_), std::runtime_error);
  EXPECT_THROW(Endpoint("/dev/null", Endpoint::Role::server, port_), std::runtime_error);
  {
    const FileDescriptor other = listen();
    ASSERT_TRUE(other);
    EXPECT_THROW(Endpoint(path_, Endpoint::Role::server, port_), std::runtime_error) << "in use";
  }
  EXPECT_NO_THROW(Endpoint(path_, Endpoint::Role::server, port_)) << "left behind by a dead program";
  struct stat status {};
  EXPECT_NE(::stat(path_.c_str(), &status), 0) << "removed at the end";
}

}  // namespace
}  // namespace patchbay::devices::testing
