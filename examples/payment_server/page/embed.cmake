# paidonce_embed_page(<target>): the files of this directory become part of the program, as page_files.cpp.
#
# Run as a script (cmake -D OUTPUT=... -P embed.cmake) it writes that file.
if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB files LIST_DIRECTORIES false RELATIVE "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_CURRENT_LIST_DIR}/*.html"
    "${CMAKE_CURRENT_LIST_DIR}/*.css" "${CMAKE_CURRENT_LIST_DIR}/*.js" "${CMAKE_CURRENT_LIST_DIR}/*.svg")
  list(SORT files)
  set(entries "")
  foreach(name IN LISTS files)
    file(READ "${CMAKE_CURRENT_LIST_DIR}/${name}" text)
    string(APPEND entries "    {\"${name}\", R\"~~~(${text})~~~\"},\n")
  endforeach()
  file(WRITE "${OUTPUT}" "// Made by embed.cmake of the files beside it.\n#include \"page.hpp\"\n\n"
    "namespace payment_server {\n\nconst std::initializer_list<PageFile>& page_files() {\n"
    "  static const std::initializer_list<PageFile> files = {\n${entries}  };\n  return files;\n}\n\n"
    "}  // namespace payment_server\n")
  return()
endif()

set(page_directory "${CMAKE_CURRENT_LIST_DIR}")
function(paidonce_embed_page target)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${target}_page/page_files.cpp")
  file(GLOB files CONFIGURE_DEPENDS "${page_directory}/*.html" "${page_directory}/*.css" "${page_directory}/*.js"
    "${page_directory}/*.svg")
  add_custom_command(OUTPUT "${output}" DEPENDS ${files} "${page_directory}/embed.cmake"
    COMMAND "${CMAKE_COMMAND}" -D "OUTPUT=${output}" -P "${page_directory}/embed.cmake" VERBATIM)
  target_sources(${target} PRIVATE "${output}")
  set_source_files_properties("${output}" PROPERTIES INCLUDE_DIRECTORIES "${page_directory}/..")
endfunction()
