# Operating systems as nodes of a lab: the whole of `patchbay` with them, under the engine that the host has.
patchbay_linux_test(lab_mixed BY_HAND TIMEOUT 600 COMMAND "${CMAKE_CURRENT_LIST_DIR}/vm/mixed_lab.sh" "$<TARGET_FILE:patchbay>"
                    "${PROJECT_SOURCE_DIR}/examples" "${PATCHBAY_GUEST_IMAGE}")
