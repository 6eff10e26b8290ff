#include "tools/engine/agent_channel.h"

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "tools/control/protocol.h"

namespace patchbay::tools {

using agent::FrameHeader;
using agent::Type;

namespace {

constexpr std::size_t kPortion = 16 * 1024;
constexpr int kTimedOut = 124;  // as timeout(1) has it

std::string encode_number(std::uint32_t number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::uint32_t decode_number(std::string_view bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof number));
  return number;
}

std::string encode_command(const Command& command) {
  std::string text(4, '\0');
  const std::array<std::uint16_t, 2> counts{static_cast<std::uint16_t>(command.words.size()),
                                            static_cast<std::uint16_t>(command.environment.size())};
  std::memcpy(text.data(), counts.data(), sizeof counts);
  for (const std::string& word : command.words)
    text.append(word).push_back('\0');
  for (const auto& [name, value] : command.environment)
    text.append(name).append("=").append(value).push_back('\0');
  return text;
}

/// Keeps what a command prints.
class Collector final : public AgentSession, public std::enable_shared_from_this<Collector> {
 public:
  Collector(boost::asio::io_context& loop, AgentChannel& channel, std::function<void(CommandResult)> done)
      : channel_(channel), done_(std::move(done)), timer_(loop) {}

  void begin(std::uint32_t session, std::chrono::milliseconds timeout) {
    session_ = session;
    channel_.input(session_, {});
    timer_.expires_after(timeout);
    timer_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      const auto collector = self.lock();
      if (error || !collector || !collector->done_) return;
      collector->channel_.drop(collector->session_);
      collector->result_.timed_out = true;
      collector->finish(kTimedOut);
    });
  }

  void output(Type stream, std::string_view bytes) override {
    std::string& text = stream == Type::output ? result_.output : result_.error_output;
    text.append(bytes.substr(0, kMaxCommandOutput - std::min(kMaxCommandOutput, text.size())));
    channel_.consumed(session_, static_cast<std::uint32_t>(bytes.size()));
  }
  void input_window(std::uint32_t) override {}
  void exited(int status, std::string_view text) override {
    result_.error_output.append(text);
    finish(status);
  }

 private:
  void finish(int status) {
    timer_.cancel();
    result_.status = status;
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(result_));
  }

  AgentChannel& channel_;
  std::function<void(CommandResult)> done_;
  boost::asio::steady_timer timer_;
  std::uint32_t session_ = 0;
  CommandResult result_;
};

}  // namespace

AgentChannel::AgentChannel(boost::asio::io_context& loop, AgentLine& line, std::function<void()> on_agent)
    : loop_(loop), line_(line), on_agent_(std::move(on_agent)) {
  line_.watch([this] { handle_events(); });
}

AgentChannel::~AgentChannel() {
  line_.watch(nullptr);
  on_agent_ = nullptr;
  disconnect("the node is going down");
}

void AgentChannel::handle_events() {
  if (line_.openings() != opening_ || !line_.is_open()) {
    disconnect("the guest's agent has ended");
    opening_ = line_.openings();
    broken_ = false;
  }
  if (!line_.is_open()) return;
  receive();
  pump();
}

void AgentChannel::receive() {
  std::array<std::byte, kPortion> buffer;
  for (std::size_t count = 0; (count = line_.read(buffer)) != 0;) {
    if (broken_) continue;
    in_.append(reinterpret_cast<const char*>(buffer.data()), count);
    std::size_t at = 0;
    while (!broken_ && in_.size() - at >= FrameHeader::kBytes) {
      const FrameHeader header = FrameHeader::decode(in_.data() + at);
      if (header.length > agent::kMaxPayload) {
        broken_ = true;
        break;
      }
      if (in_.size() - at - FrameHeader::kBytes < header.length) break;
      // A copy: handling a frame may start and end sessions.
      const std::string payload = in_.substr(at + FrameHeader::kBytes, header.length);
      at += FrameHeader::kBytes + header.length;
      broken_ = !handle(header, payload);
    }
    if (broken_) {
      disconnect("the guest's agent broke the protocol");
    } else {
      in_.erase(0, at);
    }
  }
}

bool AgentChannel::handle(const FrameHeader& header, std::string_view payload) {
  if (header.type == Type::hello) {
    if (decode_number(payload) != agent::kVersion) return false;
    if (connected_) end_sessions("the guest's agent was started anew");
    connected_ = true;
    if (on_agent_) on_agent_();
    return true;
  }
  const auto found = sessions_.find(header.session);
  if (found == sessions_.end()) return true;  // dropped, and the agent does not know yet
  Running& running = found->second;
  const std::shared_ptr<AgentSession> session = running.session;
  switch (header.type) {
    case Type::output:
    case Type::error_output:
      if (payload.size() > running.granted) return false;
      running.granted -= static_cast<std::uint32_t>(payload.size());
      session->output(header.type, payload);
      return true;
    case Type::window:
      session->input_window(std::min(decode_number(payload), agent::kWindow));
      return true;
    case Type::exit: {
      if (payload.size() < sizeof(std::int32_t)) return false;
      sessions_.erase(found);
      session->exited(static_cast<int>(decode_number(payload)), payload.substr(sizeof(std::int32_t)));
      return true;
    }
    default:
      return false;
  }
}

void AgentChannel::disconnect(std::string_view why) {
  connected_ = false;
  in_.clear();
  end_sessions(why);
}

void AgentChannel::end_sessions(std::string_view why) {
  out_.clear();
  const auto lost = std::exchange(sessions_, {});
  for (const auto& [id, running] : lost)
    running.session->exited(kLost, why);
}

std::uint32_t AgentChannel::start(const Command& command, std::shared_ptr<AgentSession> session) {
  if (!connected_) {
    throw control::RequestError("no agent answers in the guest",
                                "start patchbay-agent in it, or use its console: patchbay console NODE");
  }
  const std::string text = encode_command(command);
  if (text.size() > agent::kMaxPayload || command.words.size() > UINT16_MAX)
    throw control::RequestError("the command is too long", "put it into a script in the guest");
  if (sessions_.size() >= agent::kMaxSessions)
    throw control::RequestError("too many commands run in the guest at a time");
  do {
    ++last_session_;
  } while (last_session_ == 0 || sessions_.contains(last_session_));
  sessions_[last_session_].session = std::move(session);
  send(last_session_, Type::start, text);
  return last_session_;
}

void AgentChannel::run(const Command& command, std::chrono::milliseconds timeout,
                       std::function<void(CommandResult)> done) {
  const auto collector = std::make_shared<Collector>(loop_, *this, std::move(done));
  collector->begin(start(command, collector), timeout);
}

void AgentChannel::input(std::uint32_t session, std::string_view bytes) {
  if (sessions_.contains(session)) send(session, Type::input, bytes);
}

void AgentChannel::signal(std::uint32_t session, std::uint32_t number) {
  if (sessions_.contains(session)) send(session, Type::signal, encode_number(number));
}

void AgentChannel::consumed(std::uint32_t session, std::uint32_t bytes) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || bytes == 0) return;
  found->second.granted += bytes;
  send(session, Type::window, encode_number(bytes));
}

void AgentChannel::drop(std::uint32_t session) {
  if (sessions_.erase(session) != 0) send(session, Type::drop, {});
}

void AgentChannel::send(std::uint32_t session, Type type, std::string_view payload) {
  std::array<char, FrameHeader::kBytes> header;
  FrameHeader{session, type, static_cast<std::uint32_t>(payload.size())}.encode(header.data());
  out_.append(header.data(), header.size()).append(payload);
  pump();
}

void AgentChannel::pump() {
  while (!out_.empty()) {
    const std::size_t taken = line_.write(std::as_bytes(std::span(out_.data(), out_.size())));
    if (taken == 0) return;  // the line says when there is room
    out_.erase(0, taken);
  }
}

}  // namespace patchbay::tools
