# SPDX-License-Identifier: GPL-2.0-or-later
include(GNUInstallDirs)

install(TARGETS linkbal RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
foreach(section 5 8)
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# systemd's own directory, if it is below our prefix: another prefix must not write to the system's.
pkg_get_variable(systemd_units systemd systemdsystemunitdir)
cmake_path(IS_PREFIX CMAKE_INSTALL_PREFIX "${systemd_units}" NORMALIZE below_prefix)
if(NOT systemd_units OR NOT below_prefix)
    set(systemd_units ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
endif()
set(LINKBAL_SYSTEMD_UNIT_DIR ${systemd_units} CACHE PATH "where the systemd unit is installed")
configure_file(userspace/daemon/linkbal.service.in linkbal.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/linkbal.service DESTINATION ${LINKBAL_SYSTEMD_UNIT_DIR})
