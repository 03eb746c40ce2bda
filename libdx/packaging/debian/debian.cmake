# SPDX-License-Identifier: Apache-2.0
#
# Debian packages, by cpack -G DEB: the library, what a compiler needs, and the command. Included by
# CMakeLists.txt, which names the components.

set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(DX_PACKAGE_RELEASE 1 CACHE STRING "Which package of this version: 0.2.0-RELEASE")
set(CPACK_PACKAGE_CONTACT "The dx developers <dx@dx.invalid>" CACHE STRING "Who maintains the Debian packages")
set(DX_PACKAGE_VERSION ${PROJECT_VERSION}-${DX_PACKAGE_RELEASE})
# SOURCE_DATE_EPOCH sets this time, and those of the files: then two builds make the same packages.
string(TIMESTAMP DX_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME dx)
set(CPACK_COMPONENTS_ALL library development tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${DX_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SOURCE dx)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/compress.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/scripts.cmake)

# Policy wants the number of the soname in the name, so that packages of two versions that break each
# other can be installed beside each other.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libdx${soversion})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_PROVIDES libdx0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_MULTIARCH same)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/debian/symbols
    ${PROJECT_BINARY_DIR}/debian/shlibs ${PROJECT_BINARY_DIR}/debian/triggers)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "libdx lets two programs exchange requests, responses and streams through shared
memory: two processes of one machine, or a program and one in a QEMU virtual
machine by its ivshmem device.
.
This package has the shared library.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libdx-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_MULTIARCH same)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libdx${soversion} (= ${DX_PACKAGE_VERSION})")
if(INIH_FOUND) # dx.pc requires it
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libinih-dev")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "libdx lets two programs exchange requests, responses and streams through shared
memory: two processes of one machine, or a program and one in a QEMU virtual
machine by its ivshmem device.
.
This package has the headers, the static library, the manual pages of the
functions, examples, and the files for pkg-config and CMake.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME dx-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "The command dx shows what channels in shared memory do (top, ls, info,
histogram, metrics), clears what dead processes left (reset), says what a
machine lacks (doctor), carries TCP and Unix sockets through a channel
(forward), and serves memory and doorbells to programs and virtual machines
(rendezvous), for which a unit of systemd's user manager is here, too.")

# Each function came with the first library of this soname, as far as a package of it is concerned.
file(STRINGS ${symbol_map} map REGEX "^(DX_[0-9.]+ {| +dx_[a-z0-9_]+;)$")
set(symbols "libdx.so.${soversion} libdx${soversion} #MINVER#\n")
foreach(line IN LISTS map)
  if(line MATCHES "^(DX_[0-9.]+)")
    set(node ${CMAKE_MATCH_1})
    string(APPEND symbols " ${node}@${node} ${soversion}.0\n")
  elseif(line MATCHES "(dx_[a-z0-9_]+)")
    string(APPEND symbols " ${CMAKE_MATCH_1}@${node} ${soversion}.0\n")
  endif()
endforeach()
file(WRITE ${PROJECT_BINARY_DIR}/debian/symbols "${symbols}")
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs "libdx ${soversion} libdx${soversion} (>= ${soversion}.0)\n")
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${symbol_map})

# The papers of each package, which an install into a prefix has no use for.
file(WRITE ${PROJECT_BINARY_DIR}/debian/changelog.Debian "dx (${DX_PACKAGE_VERSION}) unstable; urgency=medium

  * What is new in ${PROJECT_VERSION}: /usr/share/doc/libdx-dev/changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${DX_PACKAGE_DATE}
")
file(WRITE ${PROJECT_BINARY_DIR}/debian/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: dx

Files: *
Copyright: 2026 the authors of dx
License: Apache-2.0
 On Debian systems the text of this license is /usr/share/common-licenses/Apache-2.0.
")
configure_file(${PROJECT_SOURCE_DIR}/docs/changelog.md debian/changelog COPYONLY)
foreach(component LIBRARY DEVELOPMENT TOOLS)
  string(TOLOWER ${component} name)
  install(FILES ${PROJECT_BINARY_DIR}/debian/copyright ${PROJECT_BINARY_DIR}/debian/changelog.Debian
                ${PROJECT_BINARY_DIR}/debian/changelog
          DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${CPACK_DEBIAN_${component}_PACKAGE_NAME}
          COMPONENT ${name} EXCLUDE_FROM_ALL)
endforeach()
include(CPack)
