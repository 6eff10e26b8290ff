// Nodes of kind vm: what boots them, and where a file that cannot work is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "tools/lab/load.h"

namespace patchbay::tools {
namespace {

using ::testing::HasSubstr;

std::string bzimage() {
  std::string start(1024, '\0');
  start.replace(510, 2, "\x55\xAA");
  start.replace(0x202, 4, "HdrS");
  return start;
}
std::string partitioned_disk() {
  std::string start(1024, '\0');
  start.replace(510, 2, "\x55\xAA");
  return start;
}

/// Files below /images, by name.
const std::map<std::string, std::string> kFiles{{"/images/vmlinuz", bzimage()},
                                                {"/images/vmlinux",
                                                 "\x7F"
                                                 "ELF and more"},
                                                {"/images/initrd", "070701"},
                                                {"/images/plain.img", std::string(1024, '\0')},
                                                {"/images/parts.img", partitioned_disk()},
                                                {"/images/cloud.img", partitioned_disk()},
                                                {"/images/foreign.qcow2", "QFI\xfb"},
                                                {"/images/debian/vmlinuz", bzimage()},
                                                {"/images/debian/initrd.cpio", "070701"},
                                                {"/images/v1.img", std::string(1024, '\0')}};

LoadResult load_vm(const std::string& node, const std::string& links = "") {
  Surroundings files;
  files.variable = [](std::string_view) { return std::nullopt; };
  files.read_file = [](const std::filesystem::path&) -> std::string {
    throw std::runtime_error("No such file or directory");
  };
  files.path_kind = [](const std::filesystem::path& path) {
    if (kFiles.contains(path.string())) return PathKind::file;
    return path == "/images/debian" || path == "/images/empty" ? PathKind::directory : PathKind::missing;
  };
  files.file_start = [](const std::filesystem::path& path) { return kFiles.at(path.string()); };
  files.disk_boot = [](const std::string& image) -> disk_boot::DiskBoot {
    if (image != "/images/cloud.img") throw disk_boot::DiskBootError("'" + image + "' has no kernel", "name one");
    return {{.number = 1, .offset = 1 << 20}, {"/boot/vmlinuz", {"/boot/initrd.img"}, "root=UUID=1 console=tty0"}};
  };
  return parse_lab("name: lab\ntopology:\n  nodes:\n    v1: " + node + "\n    h1: {kind: linux}\n" + links,
                   "/images/lab.clab.yml", files);
}

VmBoot boot_of(const std::string& node) {
  const LoadResult result = load_vm(node);
  if (!result.lab) {
    ADD_FAILURE() << to_string(result.diagnostics.front());
    return {};
  }
  return *result.lab->nodes[0].boot;
}

/// "line:column: message; hint" of the first error.
std::string error_of(const std::string& node, const std::string& links = "") {
  const LoadResult result = load_vm(node, links);
  for (const Diagnostic& diagnostic : result.diagnostics) {
    if (diagnostic.severity == Severity::error) {
      return std::to_string(diagnostic.at.line) + ":" + std::to_string(diagnostic.at.column) + ": " +
             diagnostic.message + "; " + diagnostic.hint;
    }
  }
  return "no error";
}

TEST(VmNodes, RunUnderTheEngineThatTheLabFileNames) {
  const auto engine_of = [](const std::string& text) {
    const LoadResult result =
        load_vm("{kind: vm, image: vmlinuz, config: {vars: {patchbay: {engine: " + text + "}}}}");
    return result.lab ? result.lab->nodes[0].engine : VmEngine::automatic;
  };
  EXPECT_EQ(load_vm("{kind: vm, image: vmlinuz}").lab->nodes[0].engine, VmEngine::automatic);
  EXPECT_EQ(engine_of("kvm"), VmEngine::kvm);
  EXPECT_EQ(engine_of("qemu"), VmEngine::qemu);
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, config: {vars: {patchbay: {engine: xen}}}}"),
              HasSubstr("'xen' is no engine; write auto, kvm or qemu"));
}

TEST(VmNodes, BootAKernelWithItsInitrd) {
  const VmBoot boot = boot_of(
      "{kind: vm, image: vmlinuz, cmd: quiet, config: {vars: {patchbay: {initrd: initrd, boot-timeout: "
      "5m}}}}");
  EXPECT_EQ(boot.kernel, "/images/vmlinuz");
  EXPECT_EQ(boot.initrd, "/images/initrd");
  EXPECT_EQ(boot.command_line, "console=ttyS0 quiet");
  EXPECT_EQ(boot.timeout, std::chrono::minutes(5));
  EXPECT_TRUE(boot.disks.empty());
  EXPECT_EQ(boot_of("{kind: vm, image: vmlinux}").kernel, "/images/vmlinux");
}

TEST(VmNodes, BootAFolderThatPatchbayBuilt) {
  const VmBoot boot = boot_of("{kind: vm, image: debian}");
  EXPECT_EQ(boot.kernel, "/images/debian/vmlinuz");
  EXPECT_EQ(boot.initrd, "/images/debian/initrd.cpio");
}

TEST(VmNodes, BootADiskImageCopyOnWrite) {
  const std::string config = ", config: {vars: {patchbay: {kernel: vmlinuz, initrd: initrd}}}}";
  const VmBoot plain = boot_of("{kind: vm, image: plain.img" + config);
  ASSERT_EQ(plain.disks.size(), 1U);
  EXPECT_EQ(plain.disks[0].source, "/images/plain.img");
  EXPECT_TRUE(plain.disks[0].copy_on_write);
  EXPECT_EQ(plain.kernel, "/images/vmlinuz");
  EXPECT_EQ(plain.command_line, "console=ttyS0 root=/dev/vda rw");
  EXPECT_EQ(boot_of("{kind: vm, image: parts.img" + config).command_line, "console=ttyS0 root=/dev/vda1 rw");
  EXPECT_EQ(boot_of("{kind: vm, image: __clabNodeName__.img" + config).disks[0].source, "/images/v1.img");
}

TEST(VmNodes, BootADiskImageAsItsBootLoaderWould) {
  const VmBoot boot = boot_of("{kind: vm, image: cloud.img, cmd: quiet}");
  ASSERT_TRUE(boot.on_disk);
  EXPECT_EQ(boot.on_disk->entry.kernel, "/boot/vmlinuz");
  EXPECT_EQ(boot.kernel, "/images/cloud.img");
  EXPECT_EQ(boot.initrd, "");
  ASSERT_EQ(boot.disks.size(), 1U);
  EXPECT_TRUE(boot.disks[0].copy_on_write);
  EXPECT_EQ(boot.command_line, "root=UUID=1 console=tty0 console=ttyS0 quiet");
  EXPECT_EQ(boot_of("{kind: vm, image: cloud.img, config: {vars: {patchbay: {initrd: initrd}}}}").initrd,
            "/images/initrd");
}

TEST(VmNodes, TakeFurtherDisksFromBinds) {
  const VmBoot boot =
      boot_of("{kind: vm, image: vmlinuz, binds: [\"plain.img:/dev/vda\", \"parts.img:/dev/vdb:ro\"]}");
  ASSERT_EQ(boot.disks.size(), 2U);
  EXPECT_FALSE(boot.disks[0].read_only);
  EXPECT_FALSE(boot.disks[0].copy_on_write);
  EXPECT_EQ(boot.disks[1].source, "/images/parts.img");
  EXPECT_TRUE(boot.disks[1].read_only);
}

TEST(VmNodes, HaveCommandsAndSizes) {
  const LoadResult result = load_vm(
      "{kind: vm, image: vmlinuz, cpu: 4, memory: 1GiB, exec: [uname, id], env: {A: b}, healthcheck: {test: "
      "id}}");
  ASSERT_TRUE(result.lab);
  const Node& node = result.lab->nodes[0];
  EXPECT_EQ(node.cpu, 4U);
  EXPECT_EQ(node.memory_bytes, 1ULL << 30);
  EXPECT_EQ(node.exec, (std::vector<std::string>{"uname", "id"}));
  EXPECT_EQ(node.env.at("A"), "b");
  EXPECT_TRUE(node.healthcheck);
  EXPECT_TRUE(result.diagnostics.empty());
}

TEST(VmNodes, MayHaveAnyCardAndRunChecks) {
  const LoadResult result =
      load_vm("{kind: vm, image: vmlinuz}",
              "  links:\n    - {endpoints: [\"v1:eth1\", \"h1:eth1\"], ipv4: [10.0.0.1/24, 10.0.0.2/24], "
              "vars: {patchbay: {nic: e1000, checks: [{ping: {from: v1, to: h1}}]}}}\n");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].nic, NicModel::e1000);
  EXPECT_EQ(result.lab->nodes[1].interfaces[0].nic, NicModel::virtio_net);
  EXPECT_EQ(result.lab->checks.size(), 1U);
}

TEST(VmNodes, ReportWhatIsMissingInItsPlace) {
  EXPECT_THAT(error_of("{kind: vm}"), HasSubstr("4:5: node 'v1' has no image"));
  EXPECT_THAT(error_of("{kind: vm, image: absent}"),
              HasSubstr("4:27: image: there is no file '/images/absent'"));
  EXPECT_THAT(error_of("{kind: vm, image: empty}"),
              HasSubstr("4:27: the directory '/images/empty' has no kernel"));
  EXPECT_THAT(error_of("{kind: vm, image: plain.img}"),
              HasSubstr("4:27: '/images/plain.img' has no kernel; name one"));
  EXPECT_THAT(error_of("{kind: vm, image: foreign.qcow2}"),
              HasSubstr("qemu-img convert -O raw foreign.qcow2"));
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, config: {vars: {patchbay: {initrd: absent}}}}"),
              HasSubstr("4:71: initrd: there is no file"));
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, config: {vars: {patchbay: {kernel: vmlinuz}}}}"),
              HasSubstr("the image is a kernel already"));
  EXPECT_THAT(error_of("{kind: vm, image: plain.img, config: {vars: {patchbay: {kernel: initrd}}}}"),
              HasSubstr("'initrd' is no kernel"));
}

TEST(VmNodes, RefuseAStartupConfigWithTheReason) {
  EXPECT_THAT(
      error_of("{kind: vm, image: vmlinuz, startup-config: r1.conf}"),
      HasSubstr("4:52: a node of kind 'vm' takes no startup-config: its operating system has its own"));
}

TEST(VmNodes, RefuseBindsThatAreNoDisks) {
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, binds: [\"/etc/passwd:/etc/passwd\"]}"),
              HasSubstr("is no disk"));
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, binds: [\"plain.img:/dev/vdc\"]}"),
              HasSubstr("the next one in the list is /dev/vda"));
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, binds: [\"absent:/dev/vda\"]}"),
              HasSubstr("there is no file"));
}

TEST(VmNodes, RefuseWhatNoMachineCanHave) {
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, memory: 16MiB}"), HasSubstr("too little memory"));
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz, cmd: \"" + std::string(3000, 'x') + "\"}"),
              HasSubstr("at most 2047"));
  std::string links = "  links:\n";
  for (int i = 0; i < 30; ++i) {
    links +=
        "    - {endpoints: [\"v1:eth" + std::to_string(i) + "\", \"h1:eth" + std::to_string(i) + "\"]}\n";
  }
  EXPECT_THAT(error_of("{kind: vm, image: vmlinuz}", links),
              HasSubstr("vm 'v1' has 30 interfaces; at most 29"));
}

TEST(VmNodes, SettingsOfAVmHaveNoEffectElsewhere) {
  const LoadResult result = load_vm("{kind: linux, cmd: x, config: {vars: {patchbay: {kernel: k}}}}");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.diagnostics.size(), 2U);
}

}  // namespace
}  // namespace patchbay::tools
