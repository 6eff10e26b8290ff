// Builds small ELF executables for tests, right or wrong in a chosen place.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace patchbay::vmm {

inline constexpr std::uint64_t kNoteOffset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);

struct ElfBuilder {
  Elf64_Ehdr header{};
  Elf64_Phdr load{};
  Elf64_Phdr note{};
  struct {
    std::uint32_t name_bytes = 4;
    std::uint32_t value_bytes = 4;
    std::uint32_t type = 18;
    char name[4] = {'X', 'e', 'n', '\0'};
    std::uint32_t entry = 0x10'0000;
  } note_body;
  std::vector<std::byte> code = std::vector<std::byte>(16, std::byte{0x90});

  ElfBuilder() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    load.p_type = PT_LOAD;
    load.p_offset = kNoteOffset + sizeof note_body;
    load.p_paddr = 0x10'0000;
    load.p_filesz = code.size();
    load.p_memsz = 32;
    note.p_type = PT_NOTE;
    note.p_offset = kNoteOffset;
    note.p_filesz = sizeof note_body;
  }

  [[nodiscard]] std::vector<std::byte> build() const {
    std::vector<std::byte> file;
    const auto append = [&](const void* data, std::size_t bytes) {
      const auto* first = static_cast<const std::byte*>(data);
      file.insert(file.end(), first, first + bytes);
    };
    append(&header, sizeof header);
    append(&load, sizeof load);
    append(&note, sizeof note);
    append(&note_body, sizeof note_body);
    append(code.data(), code.size());
    return file;
  }
};

}  // namespace patchbay::vmm
