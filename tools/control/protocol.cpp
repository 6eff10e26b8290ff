#include "tools/control/protocol.h"

#include <fmt/format.h>

namespace patchbay::tools::control {
namespace {

Json parse_object(std::string_view line) {
  Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw ProtocolError("not a JSON object");
  return object;
}

/// Names and messages may hold any bytes; what is not UTF-8 is replaced.
std::string to_line(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string text_or_empty(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Request parse_request(std::string_view line) {
  Json object = parse_object(line);
  Request request;
  const auto id = object.find("id");
  if (id == object.end() || !id->is_number_unsigned())
    throw ProtocolError("'id' must be a number, not negative");
  request.id = id->get<std::uint64_t>();
  request.verb = text_or_empty(object, "verb");
  if (request.verb.empty()) throw ProtocolError("'verb' must be a text");
  if (const auto args = object.find("args"); args != object.end()) {
    if (!args->is_object()) throw ProtocolError("'args' must be an object");
    request.args = std::move(*args);
  }
  return request;
}

std::string format_request(const Request& request) {
  return to_line({{"id", request.id}, {"verb", request.verb}, {"args", request.args}});
}

std::string format_result(std::uint64_t id, const Json& result) {
  return to_line({{"id", id}, {"ok", true}, {"result", result}});
}

std::string format_error(std::uint64_t id, const RequestError& error) {
  Json detail{{"message", error.what()}};
  if (!error.hint().empty()) detail["hint"] = error.hint();
  return to_line({{"id", id}, {"ok", false}, {"error", detail}});
}

Json parse_reply(std::string_view line, std::uint64_t id) {
  Json object = parse_object(line);
  const auto ok = object.find("ok");
  if (ok == object.end() || !ok->is_boolean()) throw ProtocolError("a reply without 'ok'");
  if (!ok->get<bool>()) {
    const auto error = object.find("error");
    if (error == object.end() || !error->is_object()) throw ProtocolError("a refusal without 'error'");
    throw RequestError(text_or_empty(*error, "message"), text_or_empty(*error, "hint"));
  }
  if (object.value("id", Json()) != Json(id)) throw ProtocolError("a reply to something else");
  return object.value("result", Json());
}

std::string text_argument(const Request& request, const char* name) {
  const auto found = request.args.find(name);
  if (found == request.args.end() || !found->is_string()) {
    throw RequestError(fmt::format("'{}' needs the argument '{}' as a text", request.verb, name));
  }
  return found->get<std::string>();
}

std::string text_argument(const Request& request, const char* name, const std::string& otherwise) {
  return request.args.contains(name) ? text_argument(request, name) : otherwise;
}

}  // namespace patchbay::tools::control
