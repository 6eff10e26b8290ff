// The control server against clients of every kind, over a real socket in a temporary directory.
#include "tools/control/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/control/client.h"

namespace patchbay::tools::control {
namespace {

using namespace std::chrono_literals;

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "control_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/control.sock";
    server_.emplace(
        loop_, path_,
        [this](const Request& request, std::shared_ptr<Exchange> exchange) {
          handle(request, std::move(exchange));
        },
        ServerLimits{1024, 4});
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    boost::asio::post(loop_, [this] {
      server_.reset();
      kept_.clear();
      loop_.stop();
    });
    thread_.join();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  void handle(const Request& request, std::shared_ptr<Exchange> exchange) {
    if (request.verb == "echo") return exchange->reply(request.args);
    if (request.verb == "refuse") throw RequestError("no", "ask for echo");
    if (request.verb == "throw") throw std::runtime_error("out of cheese");
    if (request.verb == "forget") return;
    if (request.verb == "later") return kept_.push_back(std::move(exchange));
    if (request.verb == "big") {
      ++big_replies_;
      return exchange->reply(std::string(1 << 20, 'x'));
    }
    if (request.verb == "stream") {
      return exchange->upgrade(
          "here", [](FileDescriptor stream) { EXPECT_EQ(::write(stream.get(), "raw\nbytes", 9), 9); });
    }
    throw RequestError("there is no verb '" + request.verb + "'");
  }

  FileDescriptor connect() const {
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string read_all(const FileDescriptor& fd) {
    std::string all;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::read(fd.get(), chunk, sizeof chunk)) > 0;)
      all.append(chunk, static_cast<std::size_t>(got));
    return all;
  }
  static void send(const FileDescriptor& fd, const std::string& text) {
    static_cast<void>(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  void expect_alive() const { EXPECT_EQ(Client(path_).call("echo", {{"a", 1}}), Json({{"a", 1}})); }
  std::size_t clients() {
    std::promise<std::size_t> count;
    boost::asio::post(loop_, [&] { count.set_value(server_->clients()); });
    return count.get_future().get();
  }

  std::string directory_;
  std::string path_;
  boost::asio::io_context loop_;
  std::optional<Server> server_;
  std::vector<std::shared_ptr<Exchange>> kept_;
  std::atomic<int> big_replies_{0};
  std::thread thread_;
};

TEST_F(ServerTest, IsForItsOwnerOnly) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(ServerTest, AnswersRequestsInOrder) {
  Client client(path_);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(client.call("echo", {{"i", i}}), Json({{"i", i}}));
  EXPECT_EQ(client.call("big").get<std::string>().size(), 1U << 20);
}

TEST_F(ServerTest, TurnsExceptionsIntoRefusals) {
  Client client(path_);
  const auto refusal = [&](const char* verb) -> std::string {
    try {
      client.call(verb);
    } catch (const RequestError& error) {
      return error.what() + ("|" + error.hint());
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("refuse"), "no|ask for echo");
  EXPECT_EQ(refusal("throw"), "out of cheese|");
  EXPECT_EQ(refusal("forget"), "the engine gave no answer|");
  EXPECT_EQ(refusal("dance"), "there is no verb 'dance'|");
}

TEST_F(ServerTest, BecomesAByteStream) {
  Json result;
  const FileDescriptor stream = Client(path_).upgrade("stream", Json::object(), &result);
  EXPECT_EQ(result, "here");
  EXPECT_EQ(read_all(stream), "raw\nbytes");
}

TEST_F(ServerTest, ClosesOnGarbage) {
  for (const std::string garbage :
       {"GET / HTTP/1.1\r\n\r\n", "\n", "\0\0\n", "{}\n", "[[[[[[\n", "{\"id\":1,\n"}) {
    const FileDescriptor client = connect();
    send(client, garbage + "\n");
    EXPECT_NE(read_all(client).find(R"("message":"not a request: )"), std::string::npos) << garbage;
  }
  expect_alive();
}

TEST_F(ServerTest, BoundsTheLengthOfALine) {
  const FileDescriptor client = connect();
  send(client, std::string(1 << 16, 'x'));
  EXPECT_EQ(read_all(client),
            "{\"error\":{\"message\":\"the request is longer than 1024 bytes\"},\"id\":0,\"ok\":false}\n");
  expect_alive();
}

TEST_F(ServerTest, CopesWithHalfLinesAndDisconnects) {
  connect();
  send(connect(), R"({"id":1,"ve)");
  send(connect(), "{\"id\":1,\"verb\":\"later\"}\n");
  send(connect(), "{\"id\":1,\"verb\":\"big\"}\n");
  expect_alive();
  // Byte by byte is fine too.
  const FileDescriptor slow = connect();
  for (const char c : std::string("{\"id\":1,\"verb\":\"echo\"}\n"))
    send(slow, std::string(1, c));
  char answer[64] = {};
  ASSERT_GT(::read(slow.get(), answer, sizeof answer), 0);
  EXPECT_STREQ(answer, "{\"id\":1,\"ok\":true,\"result\":{}}\n");
}

TEST_F(ServerTest, HoldsOneReplyForAClientThatDoesNotRead) {
  const FileDescriptor client = connect();
  const std::string request = "{\"id\":1,\"verb\":\"big\"}\n";
  // The server stops reading from this client, so at some point the socket takes no more.
  for (int i = 0; i < 1000; ++i) {
    if (::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
  }
  for (int i = 0; i < 3000 && big_replies_ == 0; ++i)
    std::this_thread::sleep_for(10ms);
  expect_alive();
  EXPECT_EQ(big_replies_, 1);
}

TEST_F(ServerTest, BoundsTheNumberOfClients) {
  std::vector<FileDescriptor> idle;
  for (int i = 0; i < 4; ++i)
    idle.push_back(connect());
  for (int i = 0; i < 3000 && clients() < 4; ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(read_all(connect()),
            "{\"error\":{\"hint\":\"try again later\",\"message\":\"too many clients of this "
            "lab\"},\"id\":0,\"ok\":false}\n");
  idle.clear();
  for (int i = 0; i < 3000 && clients() > 0; ++i)
    std::this_thread::sleep_for(10ms);
  expect_alive();
}

TEST_F(ServerTest, AnswersLater) {
  std::thread caller([this] { EXPECT_EQ(Client(path_).call("later"), "now"); });
  for (bool answered = false; !answered;) {
    std::promise<bool> done;
    boost::asio::post(loop_, [&] {
      for (const auto& exchange : kept_)
        exchange->reply("now");
      done.set_value(!kept_.empty());
    });
    answered = done.get_future().get();
  }
  caller.join();
}

TEST(Client, SaysWhereNobodyListens) {
  try {
    Client client("/nonexistent/control.sock");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    EXPECT_STREQ(error.what(), "/nonexistent/control.sock: No such file or directory");
  }
}

}  // namespace
}  // namespace patchbay::tools::control
