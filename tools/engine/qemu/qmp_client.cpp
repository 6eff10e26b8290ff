#include "tools/engine/qemu/qmp_client.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace patchbay::tools::qemu {

namespace {

// A QEMU that talks without end lets the loop go on with others after so many.
constexpr int kPortionsAtOnce = 64;

}  // namespace

QmpClient::QmpClient(boost::asio::io_context& loop, vswitch::FileDescriptor socket, Event on_event)
    : on_event_(std::move(on_event)),
      socket_(std::make_unique<LoopWatch>(loop, std::move(socket), [this] { process(); })) {}

void QmpClient::execute(const std::string& command, const Json& arguments, Answer answer) {
  Json request{{"execute", command}, {"id", ++last_id_}};
  if (!arguments.empty()) request["arguments"] = arguments;
  if (answer) waiting_[last_id_] = std::move(answer);
  if (ready_) return send(request);
  held_ += request.dump() + '\n';
}

void QmpClient::process() {
  const std::weak_ptr<bool> alive = alive_;
  std::array<char, 16 * 1024> buffer;
  for (int portions = 0; !ended_; ++portions) {
    if (portions == kPortionsAtOnce) return;
    const ssize_t count = ::recv(socket_->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) break;
    in_.append(buffer.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = in_.find('\n')) != std::string::npos;) {
      // A copy: what is told may end this object.
      const std::string line = in_.substr(0, end);
      in_.erase(0, end + 1);
      const bool good = handle(line);
      if (alive.expired()) return;
      if (!good) ended_ = true;
      if (ended_) break;
    }
    if (in_.size() > kLongestLine) ended_ = true;
  }
  ended_ = true;
  socket_.reset();  // nobody would read what makes it readable
}

bool QmpClient::handle(std::string_view line) {
  const Json message = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object()) return line.empty() || line == "\r";
  if (message.contains("QMP")) {
    send(Json{{"execute", "qmp_capabilities"}, {"id", 0}});
    return true;
  }
  if (const auto event = message.find("event"); event != message.end()) {
    if (!event->is_string()) return false;
    const Json data = message.value("data", Json::object());
    if (!data.is_object()) return false;
    on_event_(event->get<std::string>(), data);
    return true;
  }
  const auto id = message.find("id");
  if (id == message.end() || !id->is_number_unsigned()) return true;  // an answer to nothing of ours
  std::string error;
  if (const auto found = message.find("error"); found != message.end()) {
    error = "QEMU refused a command";
    if (found->is_object() && found->contains("desc") && (*found)["desc"].is_string())
      error = (*found)["desc"].get<std::string>();
  }
  if (id->get<std::uint64_t>() == 0) {
    if (!error.empty()) return false;
    ready_ = true;
    out_ += std::exchange(held_, {});
    flush();
    return true;
  }
  auto node = waiting_.extract(id->get<std::uint64_t>());
  if (!node.empty()) node.mapped()(message.value("return", Json()), error);
  return true;
}

void QmpClient::send(const Json& command) {
  out_ += command.dump() + '\n';
  flush();
}

void QmpClient::flush() {
  while (!out_.empty() && socket_) {
    const ssize_t count = ::send(socket_->fd(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      out_.erase(0, static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      return socket_->when_writable([this] { flush(); });
    } else if (errno != EINTR) {
      return;  // process() sees the end
    }
  }
}

}  // namespace patchbay::tools::qemu
