"""The tools for files: to list, find, search, read, write, edit, move and delete them."""

from typing import Final

from assistant.contracts.tools import ToolKind, ToolServices
from tools.files.change import DeleteFile, EditFile, MoveFile, WriteFile
from tools.files.look import FindFiles, ListFiles
from tools.files.read import ReadFile
from tools.files.search import SearchFiles
from tools.files.space import SpaceFiles


def _files(services: ToolServices) -> SpaceFiles:
    return SpaceFiles(services.workspace, services.people, quota=services.folder_bytes)


KINDS: Final = (
    ToolKind(name=ListFiles.name, open=lambda settings, services: ListFiles(_files(services))),
    ToolKind(name=FindFiles.name, open=lambda settings, services: FindFiles(_files(services))),
    ToolKind(name=SearchFiles.name, open=lambda settings, services: SearchFiles(_files(services))),
    ToolKind(name=ReadFile.name, open=lambda settings, services: ReadFile(_files(services), services.reader, services.attachments)),
    ToolKind(name=WriteFile.name, open=lambda settings, services: WriteFile(_files(services))),
    ToolKind(name=EditFile.name, open=lambda settings, services: EditFile(_files(services))),
    ToolKind(name=MoveFile.name, open=lambda settings, services: MoveFile(_files(services))),
    ToolKind(name=DeleteFile.name, open=lambda settings, services: DeleteFile(_files(services))),
)
