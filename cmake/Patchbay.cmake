# Build rules shared by all directories: language level, warnings, sanitizers, and one function per kind of target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

set(PATCHBAY_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")
option(PATCHBAY_FUZZ "Build the libFuzzer targets (clang only)" OFF)

find_program(PATCHBAY_CCACHE ccache)
if(PATCHBAY_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${PATCHBAY_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PATCHBAY_CCACHE}")
endif()

# The files of a target are compiled in groups, which halves the time that all of them take. Presets for work on single
# files (debug, tsan) turn it off.
option(CMAKE_UNITY_BUILD "Compile the files of a target in groups" ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8 CACHE STRING "Files in a group")

set(PATCHBAY_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-align -Wnull-dereference -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports null dereferences inside inlined standard library code; clang still checks ours.
  list(REMOVE_ITEM PATCHBAY_WARNINGS -Wnull-dereference)
  # Under sanitizers it also sees overlapping copies inside std::string (GCC bug 105329).
  if(PATCHBAY_SANITIZE)
    list(APPEND PATCHBAY_WARNINGS -Wno-restrict)
  endif()
endif()

set(PATCHBAY_SANITIZE_FLAGS "")
if(PATCHBAY_SANITIZE)
  set(PATCHBAY_SANITIZE_FLAGS -fsanitize=${PATCHBAY_SANITIZE} -fno-omit-frame-pointer)
  if(PATCHBAY_SANITIZE MATCHES "undefined")
    list(APPEND PATCHBAY_SANITIZE_FLAGS -fno-sanitize-recover=undefined)
  endif()
endif()

# Settings for hosted code: warnings, sanitizers, includes from the top of the tree.
add_library(patchbay_options INTERFACE)
target_compile_options(patchbay_options INTERFACE ${PATCHBAY_SANITIZE_FLAGS}
                       "$<$<COMPILE_LANGUAGE:CXX>:${PATCHBAY_WARNINGS}>")
target_link_options(patchbay_options INTERFACE ${PATCHBAY_SANITIZE_FLAGS})
target_include_directories(patchbay_options INTERFACE "${PROJECT_SOURCE_DIR}")
if(PATCHBAY_FUZZ)
  # Coverage feedback for every library; only the fuzz targets link libFuzzer's main.
  target_compile_options(patchbay_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# patchbay_library(NAME SOURCES... [LINK targets...]): one static library of a directory.
function(patchbay_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE patchbay_options)
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
endfunction()

# What a sanitizer or fuzz build needs to build, and nothing else.
add_custom_target(unit_tests)
add_custom_target(fuzzers)

# patchbay_unit_test(NAME SOURCES... LINK targets...): a GoogleTest binary that needs neither KVM nor an EAL.
function(patchbay_unit_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE patchbay_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  add_dependencies(unit_tests ${name})
  gtest_discover_tests(${name} TEST_PREFIX "${name}." PROPERTIES LABELS unit TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()

# patchbay_fuzzer(NAME SOURCES... LINK targets...): a libFuzzer target; ctest replays its seed corpus, which lies in
# tests/fuzz/corpus/NAME, and adds a short run.
function(patchbay_fuzzer name)
  if(NOT PATCHBAY_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE patchbay_options ${ARG_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  if(NOT IS_DIRECTORY "${corpus}")
    set(corpus "")
  endif()
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/corpus/${name}")
  add_test(NAME ${name}
           COMMAND ${name} -max_total_time=20 -timeout=30 -rss_limit_mb=2048 -print_final_stats=1
                   "${CMAKE_BINARY_DIR}/corpus/${name}" ${corpus})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

# patchbay_benchmark(NAME SOURCES... LINK targets...): a Google Benchmark binary; never run as a timed test.
function(patchbay_benchmark name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE patchbay_options ${ARG_LINK} benchmark::benchmark_main)
endfunction()

# patchbay_emulated_test(NAME [WITHOUT_KVM] TIMEOUT seconds COMMAND command...): the test runs in the emulated host too
# (tests/emulated_host/check). WITHOUT_KVM: only if this host has no KVM at all, because any KVM runs it natively.
function(patchbay_emulated_test name)
  cmake_parse_arguments(ARG "WITHOUT_KVM" "TIMEOUT" "COMMAND" ${ARGN})
  list(JOIN ARG_COMMAND " " command)
  set(list PATCHBAY_EMULATED_TESTS)
  if(ARG_WITHOUT_KVM)
    string(APPEND list _WITHOUT_KVM)
  endif()
  set_property(GLOBAL APPEND_STRING PROPERTY ${list} "${name}\t${ARG_TIMEOUT}\t${command}\n")
endfunction()

# patchbay_linux_test(NAME TIMEOUT seconds COMMAND command...): a test with an operating system as guest. Runs
# natively where the host can, else it skips itself (exit status 77, or GTEST_SKIP) and the emulated host runs it.
function(patchbay_linux_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS integration TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
                       SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]" FIXTURES_REQUIRED guest_image)
  patchbay_emulated_test(${name} ${ARGN})
endfunction()
