# Labs on the real host: namespaces, KVM, the patchbay program. All need root and print what they check.
find_package(GTest REQUIRED)

add_executable(node_test "${CMAKE_CURRENT_LIST_DIR}/lab/node_test.cpp")
target_link_libraries(node_test PRIVATE patchbay_options patchbay_node GTest::gmock GTest::gtest_main)
add_test(NAME node_test COMMAND node_test)
set_tests_properties(node_test PROPERTIES LABELS integration TIMEOUT 60)

add_test(NAME lab_two_lans
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/two_lans.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_two_lans PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

# lab_test(NAME seconds COMMAND...): a lab with router VMs, on any KVM, or where there is none in the emulated host.
function(lab_test name timeout)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS integration TIMEOUT ${timeout} SKIP_RETURN_CODE 77)
  math(EXPR timeout "${timeout} * 2")
  patchbay_emulated_test(${name} WITHOUT_KVM TIMEOUT ${timeout} COMMAND ${ARGN})
endfunction()
lab_test(lab_bench 300 "${CMAKE_CURRENT_LIST_DIR}/lab/bench.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
lab_test(lab_scale 120 "${CMAKE_CURRENT_LIST_DIR}/lab/scale.sh" "$<TARGET_FILE:patchbay>"
         "${PROJECT_SOURCE_DIR}/tests/bench/scale/make_lab")

add_test(NAME lab_ethdev COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/ethdev.sh" "$<TARGET_FILE:patchbay>")
set_tests_properties(lab_ethdev PROPERTIES LABELS integration TIMEOUT 120 SKIP_RETURN_CODE 77)

add_test(NAME lab_external
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/external.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_external PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_netem
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/netem.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_netem PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_workers COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/workers.sh" "$<TARGET_FILE:patchbay>")
set_tests_properties(lab_workers PROPERTIES LABELS integration TIMEOUT 120 SKIP_RETURN_CODE 77)
