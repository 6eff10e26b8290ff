// Disk images with real ext4 file systems (mke2fs -d), alone and in partitions.
#include "tools/disk_boot/disk_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace patchbay::tools::disk_boot {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class DiskBootTest : public testing::Test {
 protected:
  DiskBootTest() {
    std::string name = "/tmp/patchbay-disk-boot.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    fs::create_directory(tree());
  }
  ~DiskBootTest() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path tree() const { return folder_ / "tree"; }
  [[nodiscard]] std::string image() const { return (folder_ / "disk.img").string(); }
  void add(const std::string& path, std::string_view content) const {
    const fs::path file = tree() / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }

  /// The tree as a file system of 8 MiB at `offset`.
  void make_file_system(std::uint64_t offset = 0) const {
    { std::ofstream(image(), std::ios::binary | std::ios::app); }
    fs::resize_file(image(), std::max<std::uintmax_t>(fs::file_size(image()), offset + 8 * kMiB));
    const std::string command = "mke2fs -q -F -t ext4 -E offset=" + std::to_string(offset) + " -d " +
                                tree().string() + " " + image() + " 8M >" + (folder_ / "log").string() +
                                " 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    fs::remove_all(tree());
    fs::create_directory(tree());
  }

  /// An MBR with Linux partitions of 8 MiB at these offsets.
  void partition(std::initializer_list<std::uint64_t> offsets) const {
    std::array<char, 512> sector{};
    std::size_t entry = 446;
    for (const std::uint64_t offset : offsets) {
      const auto start = static_cast<std::uint32_t>(offset / 512);
      const std::uint32_t sectors = 8 * kMiB / 512;
      sector[entry + 4] = static_cast<char>(0x83);
      std::memcpy(&sector[entry + 8], &start, sizeof start);
      std::memcpy(&sector[entry + 12], &sectors, sizeof sectors);
      entry += 16;
    }
    sector[510] = 0x55;
    sector[511] = static_cast<char>(0xAA);
    std::fstream file(image(), std::ios::binary | std::ios::in | std::ios::out);
    file.write(sector.data(), sector.size());
  }

  /// "what; hint" of the failure.
  [[nodiscard]] std::string failure() const {
    try {
      (void)find_disk_boot(image());
    } catch (const DiskBootError& error) {
      return error.what() + std::string("; ") + error.hint();
    }
    return "none";
  }

  fs::path folder_;
};

TEST_F(DiskBootTest, AFileSystemWithoutPartitionsStartsAsItsGrubWould) {
  add("boot/grub/grub.cfg",
      "menuentry a {\nlinux /boot/vmlinuz-6.1 root=/dev/sda1 ro\ninitrd /boot/initrd-6.1\n}\n");
  add("boot/vmlinuz-6.1", "kernel");
  add("boot/initrd-6.1", "initrd");
  make_file_system();
  const DiskBoot boot = find_disk_boot(image());
  EXPECT_EQ(boot.partition.number, 0U);
  EXPECT_EQ(boot.entry.options, "root=/dev/vda1 ro") << "the disk is a virtio one";
  EXPECT_EQ(text_of(read_kernel(image(), boot)), "kernel");
  EXPECT_EQ(text_of(read_initrd(image(), boot)), "initrd");
}

TEST_F(DiskBootTest, ABootPartitionIsFoundAmongOthers) {
  add("etc/hostname", "host");
  make_file_system(kMiB);
  add("loader/entries/f-6.9.conf", "linux /vmlinuz-6.9\ninitrd /initramfs-6.9.img\noptions root=UUID=9\n");
  add("loader/entries/f-6.10.conf",
      "linux /vmlinuz-6.10\ninitrd /ucode /initramfs-6.10.img\noptions root=UUID=10\n");
  add("vmlinuz-6.9", "old");
  add("vmlinuz-6.10", "new");
  add("initramfs-6.9.img", "old");
  add("ucode", "micro");
  add("initramfs-6.10.img", "new");
  make_file_system(16 * kMiB);
  partition({kMiB, 16 * kMiB});
  const DiskBoot boot = find_disk_boot(image());
  EXPECT_EQ(boot.partition.number, 2U);
  EXPECT_EQ(boot.partition.offset, 16 * kMiB);
  EXPECT_EQ(boot.entry.options, "root=UUID=10");
  EXPECT_EQ(text_of(read_kernel(image(), boot)), "new");
  EXPECT_EQ(text_of(read_initrd(image(), boot)), std::string("micro\0\0\0new", 11)) << "aligned to 4 bytes";
}

TEST_F(DiskBootTest, WithoutABootLoadersTextTheLinksInTheRootAreFollowed) {
  add("boot/vmlinuz-6.1", "kernel");
  add("boot/initrd.img-6.1", "initrd");
  fs::create_symlink("boot/vmlinuz-6.1", tree() / "vmlinuz");
  fs::create_symlink("/boot/initrd.img-6.1", tree() / "initrd.img");
  make_file_system(kMiB);
  partition({kMiB});
  const DiskBoot boot = find_disk_boot(image());
  EXPECT_EQ(boot.entry.options, "root=/dev/vda1 rw");
  EXPECT_EQ(text_of(read_kernel(image(), boot)), "kernel");
  EXPECT_EQ(text_of(read_initrd(image(), boot)), "initrd");
}

TEST_F(DiskBootTest, AnEntryWhoseFilesAreMissingIsPassedOver) {
  add("boot/grub/grub.cfg", "linux /boot/vmlinuz-5.10 root=UUID=1\n");
  add("vmlinuz", "kernel");
  make_file_system();
  const DiskBoot boot = find_disk_boot(image());
  EXPECT_EQ(boot.entry.kernel, "/vmlinuz");
  EXPECT_EQ(boot.entry.options, "root=/dev/vda rw");
  EXPECT_TRUE(read_initrd(image(), boot).empty());
}

TEST_F(DiskBootTest, WhatCannotStartSaysWhyAndWhatToDo) {
  EXPECT_THAT(failure(), HasSubstr("No such file or directory; name the kernel to start it with"));
  std::ofstream(image(), std::ios::binary) << std::string(kMiB, 'x');
  EXPECT_THAT(failure(), HasSubstr("has no ext2, ext3 or ext4 file system to find a kernel in"));
  add("etc/hostname", "host");
  make_file_system();
  EXPECT_THAT(failure(),
              HasSubstr("has no kernel that a grub.cfg, an entry in loader/entries or /vmlinuz refers to"));
}

TEST_F(DiskBootTest, ADamagedFileSystemIsAnError) {
  add("boot/grub/grub.cfg", "linux /vmlinuz\n");
  add("vmlinuz", "kernel");
  make_file_system();
  const DiskBoot boot = find_disk_boot(image());
  {
    std::fstream file(image(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(2048);  // the group descriptors, behind the superblock
    file << std::string(8192, '\xFF');
  }
  EXPECT_THAT(failure(), HasSubstr("disk.img'"));
  EXPECT_THROW((void)read_kernel(image(), boot), DiskBootError);
  fs::remove(image());
  EXPECT_THROW((void)read_initrd(image(), boot), DiskBootError);
}

}  // namespace
}  // namespace patchbay::tools::disk_boot
