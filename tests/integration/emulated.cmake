# The emulated host runs all tests that patchbay_emulated_test() and patchbay_linux_test() have listed.
if(TARGET vmm_integration_test)
  patchbay_emulated_test(vmm_integration_test TIMEOUT 200 COMMAND $<TARGET_FILE:vmm_integration_test>)
endif()
get_property(emulated_tests GLOBAL PROPERTY PATCHBAY_EMULATED_TESTS)
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/emulated_tests" CONTENT "${emulated_tests}")
get_property(emulated_tests GLOBAL PROPERTY PATCHBAY_EMULATED_TESTS_WITHOUT_KVM)
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/emulated_tests_without_kvm" CONTENT "${emulated_tests}")
add_test(NAME emulated_host COMMAND "${PROJECT_SOURCE_DIR}/tests/emulated_host/check" "${CMAKE_BINARY_DIR}/emulated_tests")
set_tests_properties(emulated_host PROPERTIES LABELS "integration;emulated" TIMEOUT 3000 SKIP_RETURN_CODE 77 RUN_SERIAL ON
                     FIXTURES_REQUIRED guest_image)
