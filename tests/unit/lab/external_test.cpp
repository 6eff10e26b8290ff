// Nodes of kind external: their sockets under vars.patchbay of a link or an endpoint.
#include <gtest/gtest.h>

#include "tests/unit/lab/lab_text.h"

namespace patchbay::tools {
namespace {

using test::first_error;

LoadResult load_external(const std::string& links, const std::string& more = "") {
  return test::parse_alone("name: lab\ntopology:\n  nodes:\n    x1: {kind: external" + more +
                           "}\n    h1: {kind: linux}\n    h2: {kind: linux}\n  links:\n    - " + links +
                           "\n");
}

std::string with_vhost_user(const std::string& settings) {
  return "{endpoints: [\"x1:eth1\", \"h1:eth1\"], vars: {patchbay: {vhost-user: " + settings + "}}}";
}

TEST(ExternalNodes, ListenInTheRunDirectoryUnlessTheFileSaysOtherwise) {
  const LoadResult result = load_external(R"({endpoints: ["x1:eth1", "h1:eth1"]})");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->nodes[0].kind, NodeKind::external);
  EXPECT_FALSE(result.lab->nodes[0].interfaces[0].vhost_user.client);
  EXPECT_TRUE(result.lab->nodes[0].interfaces[0].vhost_user.socket.empty());
}

TEST(ExternalNodes, ConnectToASocketNextToTheLabFile) {
  const LoadResult result = load_external(with_vhost_user("{mode: client, socket: __clabNodeName__.sock}"));
  ASSERT_TRUE(result.lab);
  EXPECT_TRUE(result.lab->nodes[0].interfaces[0].vhost_user.client);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].vhost_user.socket, "/labs/x1.sock");
}

TEST(ExternalNodes, AnEndpointSaysMoreThanItsLink) {
  const LoadResult result = load_external(
      "{type: veth, endpoints: [{node: x1, interface: eth1, vars: {patchbay: {queues: 4, vhost-user: "
      "{socket: "
      "/a.sock}}}}, {node: h1, interface: eth1}], vars: {patchbay: {vhost-user: {socket: /b.sock}}}}");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].vhost_user.socket, "/a.sock");
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].queues, 4u);
}

TEST(ExternalNodes, ErrorsStandWhereTheMistakeIs) {
  EXPECT_EQ(first_error(load_external(with_vhost_user("{mode: peer}"))),
            "8:80: mode: 'peer' is neither server nor client");
  EXPECT_EQ(first_error(load_external(with_vhost_user("{mode: client}"))),
            "8:73: a client needs the socket that it shall connect to");
  EXPECT_EQ(first_error(load_external(with_vhost_user("{socket: ''}"))), "8:82: the socket has no path");
  EXPECT_EQ(first_error(load_external(with_vhost_user("{path: /a}"))),
            "8:74: unknown key 'path' in vhost-user");
  EXPECT_NE(first_error(load_external(with_vhost_user("{socket: /" + std::string(107, 'a') + "}")))
                .find("has 108 bytes"),
            std::string::npos);
  EXPECT_EQ(first_error(load_external(with_vhost_user("{socket: /a}") +
                                      "\n    - {endpoints: [\"x1:eth2\", \"h2:eth1\"], "
                                      "vars: {patchbay: {vhost-user: {socket: /a}}}}")),
            "9:82: the socket /a is used twice; the first use is on line 8");
}

TEST(ExternalNodes, OnlyTheyHaveSockets) {
  EXPECT_EQ(first_error(load_external(
                "{endpoints: [\"h2:eth1\", \"h1:eth1\"], vars: {patchbay: {vhost-user: {socket: "
                "/a}}}}")),
            "8:73: a link between linux and linux has no vhost-user socket");
  EXPECT_EQ(first_error(load_external(
                "{type: veth, endpoints: [{node: x1, interface: eth1}, {node: h1, interface: eth1, "
                "vars: {patchbay: {vhost-user: {socket: /a}}}}]}")),
            "8:119: a node of kind linux has no vhost-user socket");
}

TEST(ExternalNodes, RunNoCommands) {
  EXPECT_EQ(first_error(load_external(R"({endpoints: ["x1:eth1", "h1:eth1"]})", ", exec: [ls]")),
            "4:33: a node of kind 'external' runs no commands, so 'exec' is impossible");
}

}  // namespace
}  // namespace patchbay::tools
