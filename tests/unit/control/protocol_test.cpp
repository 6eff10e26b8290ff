#include "tools/control/protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace patchbay::tools::control {
namespace {

std::string refusal(const std::string& line) {
  try {
    static_cast<void>(parse_request(line));
  } catch (const ProtocolError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Protocol, ReadsARequest) {
  const Request request = parse_request(R"({"id": 7, "verb": "inspect", "args": {"node": "r1"}, "more": 1})");
  EXPECT_EQ(request.id, 7U);
  EXPECT_EQ(request.verb, "inspect");
  EXPECT_EQ(request.args, Json({{"node", "r1"}}));
  EXPECT_EQ(parse_request(R"({"id":0,"verb":"x"})").args, Json::object());
}

TEST(Protocol, RefusesWhatIsNotARequest) {
  EXPECT_EQ(refusal(""), "not a JSON object");
  EXPECT_EQ(refusal("hello"), "not a JSON object");
  EXPECT_EQ(refusal("[1]"), "not a JSON object");
  EXPECT_EQ(refusal(std::string(60000, '[')), "not a JSON object");
  EXPECT_EQ(refusal("{\"id\":1,\"verb\":\"\xFF\"}"), "not a JSON object");
  EXPECT_EQ(refusal(R"({"verb":"x"})"), "'id' must be a number, not negative");
  EXPECT_EQ(refusal(R"({"id":-1,"verb":"x"})"), "'id' must be a number, not negative");
  EXPECT_EQ(refusal(R"({"id":1})"), "'verb' must be a text");
  EXPECT_EQ(refusal(R"({"id":1,"verb":5})"), "'verb' must be a text");
  EXPECT_EQ(refusal(R"({"id":1,"verb":"x","args":[]})"), "'args' must be an object");
}

TEST(Protocol, WritesOneLinePerMessage) {
  EXPECT_EQ(format_request({1, "exec", {{"cmd", "a\nb"}}}),
            "{\"args\":{\"cmd\":\"a\\nb\"},\"id\":1,\"verb\":\"exec\"}\n");
  EXPECT_EQ(format_result(2, "x"), "{\"id\":2,\"ok\":true,\"result\":\"x\"}\n");
  EXPECT_EQ(format_error(3, RequestError("no", "try y")),
            "{\"error\":{\"hint\":\"try y\",\"message\":\"no\"},\"id\":3,\"ok\":false}\n");
  EXPECT_EQ(format_result(4, "\xFF"), "{\"id\":4,\"ok\":true,\"result\":\"\xEF\xBF\xBD\"}\n");
}

TEST(Protocol, ReadsReplies) {
  EXPECT_EQ(parse_reply(R"({"id":2,"ok":true,"result":[1]})", 2), Json({1}));
  EXPECT_THROW(static_cast<void>(parse_reply(R"({"id":3,"ok":true})", 2)), ProtocolError);
  EXPECT_THROW(static_cast<void>(parse_reply(R"({"id":2})", 2)), ProtocolError);
  EXPECT_THROW(static_cast<void>(parse_reply(R"({"id":2,"ok":false})", 2)), ProtocolError);
  try {
    static_cast<void>(parse_reply(R"({"id":2,"ok":false,"error":{"message":"no","hint":"h"}})", 2));
    FAIL();
  } catch (const RequestError& error) {
    EXPECT_STREQ(error.what(), "no");
    EXPECT_EQ(error.hint(), "h");
  }
}

TEST(Protocol, NamesTheArgumentThatIsMissing) {
  const Request request{1, "capture", {{"points", 5}}};
  try {
    static_cast<void>(text_argument(request, "points"));
    FAIL();
  } catch (const RequestError& error) {
    EXPECT_STREQ(error.what(), "'capture' needs the argument 'points' as a text");
  }
  EXPECT_EQ(text_argument(request, "filter", "none"), "none");
}

}  // namespace
}  // namespace patchbay::tools::control
