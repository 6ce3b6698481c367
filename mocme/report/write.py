"""`mocme report`: reads a run, draws its figures, and writes the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.stages.predictions import Prediction
from flows.stages.staged_run import REPORT_FILE, REPORT_FOLDER, STAGES_FOLDER, StagedRun
from mocme.report.figure import DrawnFigure, draw_figure
from mocme.report.figure_files import ReportFiles, write_figures
from mocme.report.media import Gallery, collect_media
from mocme.report.page import render_page
from mocme.report.predictions import in_turns
from mocme.report.run_data import ReportError, RunData, read_run
from mocme.report.sections import Section, sections_of
from storage.files.checksums import describe
from storage.files.keeping import replace_own
from storage.files.owned import check_own_file, own_folder

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        page: The HTML file.
        figures: Folder of the figures as files.
        num_bytes: Size of the page.
        num_figures: How many figures there are, three files each.
        num_predictions: How many predictions the page shows.
        num_media: How many pictures, sounds and clips are in it.
        left_out: Number of entities whose files of a kind had no room.
    """

    page: Path
    figures: Path
    num_bytes: int
    num_figures: int
    num_predictions: int
    num_media: int
    left_out: Mapping[str, int]


def write_report(folder: StagedRun, max_bytes: int, most_predictions: int) -> Report:
    """Write a run's report, `report.html` and `report/`; the same run gives the same bytes.

    Args:
        folder: The run.
        max_bytes: The page's size at most, media included.
        most_predictions: How many predictions to show.

    Raises:
        ReportError: If the run was not evaluated, the page would be too large even without media,
            or it cannot be written.
        MocmeError: If what the run left is damaged.
    """
    run = read_run(folder)
    page, figures = folder.path / REPORT_FILE, folder.path / REPORT_FOLDER
    manifest = folder.path / STAGES_FOLDER / "report.json"
    check_own_file(page)
    earlier = ReportFiles.read(manifest)
    try:
        drawn = [(section, _draw(section)) for section in sections_of(run)]
        written = write_figures(own_folder(figures), _files_of(drawn), earlier)
        sections = [
            (section, {name: it.element for name, it in by_name.items()})
            for section, by_name in drawn
        ]
        shown = in_turns(run.predictions or [])[:most_predictions]
        html, gallery = _with_media(run, sections, shown, max_bytes)
        replace_own(page, html.encode(), earlier.page)
        replace(written, page=describe(page)).write(manifest)
    except OSError as error:
        raise ReportError(
            f"{error.filename or page}: found {error.strerror}; allowed: the folder of a run that "
            "can be written to"
        ) from error
    media = gallery.of.values()
    return Report(
        page=page,
        figures=figures,
        num_bytes=len(html.encode()),
        num_figures=sum(len(by_name) for _, by_name in drawn),
        num_predictions=len(shown),
        num_media=sum(bool(uri) for it in media for uri in (it.image, it.audio, it.video)),
        left_out={str(kind): count for kind, count in gallery.left_out.items()},
    )


def _draw(section: Section) -> dict[str, DrawnFigure]:
    return {figure.name: draw_figure(figure) for figure in section.figures}


def _files_of(drawn: Sequence[tuple[Section, Mapping[str, DrawnFigure]]]) -> dict[str, bytes]:
    figures = [figure for _, by_name in drawn for figure in by_name.values()]
    return {name: content for figure in figures for name, content in figure.files.items()}


def _with_media(
    run: RunData,
    sections: Sequence[tuple[Section, Mapping[str, str]]],
    shown: Sequence[Prediction],
    max_bytes: int,
) -> tuple[str, Gallery]:
    """Render the page with as many media as there is room for beside the rest."""
    entities = list(dict.fromkeys(entity for it in shown for entity in (it.head, it.tail)))
    without = render_page(run, sections, shown, Gallery.empty(entities))
    room = max_bytes - len(without.encode())
    if room < 0:
        raise ReportError(
            f"{run.path}: found a page of {(max_bytes - room) / MEGABYTE:.1f} MB without media; "
            f"allowed: {max_bytes / MEGABYTE:.1f} MB; raise --max-mb, or show fewer --predictions"
        )
    gallery = collect_media(run.source, entities, room)
    return render_page(run, sections, shown, gallery), gallery
