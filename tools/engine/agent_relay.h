// Joins a client of the control socket (`patchbay exec`) with a command in a guest: the frames of
// tools/agent/protocol.h with session 0 on the client's side, without windows, since a socket has its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "tools/engine/agent_channel.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

/// Starts `command` and serves the client until either ends; a client that goes away takes its command along.
/// The channel may end before the client. Throws what AgentChannel::start() throws; the client is closed
/// then.
void relay_command(boost::asio::io_context& loop, AgentChannel& channel, const Command& command,
                   vswitch::FileDescriptor client);

}  // namespace patchbay::tools
