# SPDX-License-Identifier: Apache-2.0
#
# Run by CPack when the files of the packages lie in folders of their own: manual pages and changelogs
# are compressed in Debian, without names and times in them.

set(dir ${CPACK_TEMPORARY_DIRECTORY})
file(GLOB_RECURSE files ${dir}/*.1 ${dir}/*.3 ${dir}/changelog ${dir}/changelog.Debian)
if(NOT files)
  message(FATAL_ERROR "no manual page in ${dir}")
endif()
execute_process(COMMAND gzip -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
