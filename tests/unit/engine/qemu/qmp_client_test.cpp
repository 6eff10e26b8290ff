// The protocol's client against bytes that the test sends, good ones and others.
#include "tools/engine/qemu/qmp_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <vector>

#include "tests/unit/engine/qemu/run_ready.h"

namespace patchbay::tools::qemu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_ready;
using vswitch::FileDescriptor;

struct QmpClientTest : ::testing::Test {
  boost::asio::io_context loop;
  FileDescriptor qemu;
  std::vector<std::string> events;
  std::unique_ptr<QmpClient> client;

  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    qemu.reset(ends[0]);
    client = std::make_unique<QmpClient>(
        loop, FileDescriptor(ends[1]),
        [this](const std::string& name, const QmpClient::Json& data) { events.push_back(name + data.dump()); });
  }
  void say(const std::string& text) {
    ASSERT_EQ(::send(qemu.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    run_ready(loop);
  }
  std::string hear() {
    std::string text(4096, '\0');
    const ssize_t count = ::recv(qemu.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }
  void greet() {
    say("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    EXPECT_THAT(hear(), HasSubstr("qmp_capabilities"));
    say("{\"return\": {}, \"id\": 0}\r\n");
  }
};

TEST_F(QmpClientTest, HoldsCommandsUntilQemuIsReady) {
  client->execute("stop");
  EXPECT_FALSE(client->is_ready());
  EXPECT_EQ(hear(), "");
  greet();
  EXPECT_TRUE(client->is_ready());
  EXPECT_THAT(hear(), HasSubstr("\"execute\":\"stop\""));
}

TEST_F(QmpClientTest, BringsAnswersAndRefusalsToTheirCommands) {
  greet();
  std::optional<std::string> answers[2];
  client->execute("query-status", {}, [&](const auto& result, const auto&) { answers[0] = result.dump(); });
  client->execute("nonsense", {{"a", 1}}, [&](const auto&, const auto& error) { answers[1] = error; });
  EXPECT_THAT(hear(), HasSubstr("\"arguments\":{\"a\":1}"));
  say("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such command\"}, \"id\": 2}\r\n");
  say("{\"return\": {\"status\": \"running\"}, \"id\": 1}\r\n{\"return\": {}, \"id\": 99}\r\n{\"return\": {}}\r\n");
  EXPECT_EQ(answers[0], "{\"status\":\"running\"}");
  EXPECT_EQ(answers[1], "no such command");
  EXPECT_FALSE(client->has_ended());
}

TEST_F(QmpClientTest, TellsEventsWhereverTheLinesAreCut) {
  greet();
  say("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\r\n{\"eve");
  say("nt\": \"STOP\"}\r\n");
  EXPECT_THAT(events, ElementsAre("SHUTDOWN{\"guest\":true}", "STOP{}"));
}

TEST_F(QmpClientTest, EndsTheConversationAtWhatIsNoQmp) {
  for (const std::string& text :
       {std::string("hello\n"), std::string("[1]\n"), std::string("{\"event\": 5}\n"),
        std::string("{\"event\": \"A\", \"data\": 1}\n"), std::string("{\"error\": 1, \"id\": 0}\n")}) {
    SetUp();
    say(text);
    EXPECT_TRUE(client->has_ended()) << text;
    client->execute("stop");  // harmless
  }
  EXPECT_TRUE(events.empty());
}

TEST_F(QmpClientTest, ALineWithoutEndCostsABoundedAmountOfMemory) {
  const std::string portion(64 * 1024, 'x');
  for (std::size_t sent = 0; sent <= QmpClient::kLongestLine && !client->has_ended(); sent += portion.size())
    say(portion);
  EXPECT_TRUE(client->has_ended());
}

TEST_F(QmpClientTest, MayGoInItsOwnCall) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  qemu.reset(ends[0]);
  client = std::make_unique<QmpClient>(loop, FileDescriptor(ends[1]),
                                       [this](const std::string&, const QmpClient::Json&) { client.reset(); });
  say("{\"event\": \"SHUTDOWN\"}\r\n{\"event\": \"STOP\"}\r\n");
  EXPECT_EQ(client, nullptr);
}

}  // namespace
}  // namespace patchbay::tools::qemu
