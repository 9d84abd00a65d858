//! What the screen of `zoneadm stat` shows: a table that is sorted as whoever looks at it wants. All text in it is numbers, names that the
//! host gave, and ours; nothing that a zone wrote.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use super::columns::{COLUMNS, CPU, GAP, NAME, fitting};
use super::used::{Report, Used};

/// What is shown, and how.
#[derive(Debug)]
pub(super) struct View {
    time: String,
    zones: Vec<Used>,
    /// The column that it is sorted by.
    sort: usize,
    /// The least first.
    reverse: bool,
    /// What is shown stays as it is.
    paused: bool,
    table: TableState,
}

impl Default for View {
    fn default() -> Self {
        Self {
            time: String::new(),
            zones: Vec::new(),
            sort: CPU,
            reverse: false,
            paused: false,
            table: TableState::default(),
        }
    }
}

impl View {
    /// Shows another interval. The zone that is chosen stays so, wherever it goes.
    pub(super) fn take(&mut self, report: Report) {
        let chosen = self.table.selected().and_then(|at| self.zones.get(at)).map(|used| used.zone.clone());
        (self.time, self.zones) = (report.time, report.zones);
        self.order();
        let at = chosen.and_then(|zone| self.zones.iter().position(|used| used.zone == zone));
        self.table.select(at);
    }

    fn order(&mut self) {
        let key = COLUMNS[self.sort].key;
        self.zones.sort_by(|a, b| key(b).total_cmp(&key(a)).then_with(|| a.zone.cmp(&b.zone)));
        if self.reverse {
            self.zones.reverse();
        }
    }

    /// Whether no interval is to be shown until a key says so.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Does what a key is for. Whether that is to leave.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let columns = COLUMNS.len();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c' | 'd') if control => return true,
            KeyCode::Right | KeyCode::Char('>') => self.sort_by((self.sort + 1) % columns),
            KeyCode::Left | KeyCode::Char('<') => self.sort_by((self.sort + columns - 1) % columns),
            KeyCode::Char(' ' | 'p') => self.paused = !self.paused,
            KeyCode::Char('r') => {
                self.reverse = !self.reverse;
                self.order();
            }
            KeyCode::Down | KeyCode::Char('j') => self.table.select_next(),
            KeyCode::Up | KeyCode::Char('k') => self.table.select_previous(),
            KeyCode::PageDown => self.table.scroll_down_by(PAGE),
            KeyCode::PageUp => self.table.scroll_up_by(PAGE),
            KeyCode::Home => self.table.select_first(),
            KeyCode::End => self.table.select_last(),
            _ => {}
        }
        false
    }

    fn sort_by(&mut self, column: usize) {
        self.sort = column;
        self.order();
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let rows = Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]);
        let [top, middle, bottom] = rows.areas(frame.area());
        frame.render_widget(Paragraph::new(format!("{}  {}", self.time, zone_locale::here(&self.up()))), top);
        self.draw_table(frame, middle);
        // The whole line, so that its end is seen as one.
        let help = Paragraph::new(format!(" {}", zone_locale::here(&self.help())));
        frame.render_widget(help.style(Style::new().add_modifier(Modifier::REVERSED)), bottom);
    }

    /// How many zones there are to be seen, once that is known.
    fn up(&self) -> String {
        match self.zones.len() {
            _ if self.time.is_empty() => String::new(),
            0 => "no zone is up".to_owned(),
            1 => "1 zone is up".to_owned(),
            many => format!("{many} zones are up"),
        }
    }

    /// What the keys are for, and what they have made of the table.
    fn help(&self) -> String {
        if self.paused {
            return "paused | space: go on | q: quit".to_owned();
        }
        let way = match (self.sort, self.reverse) {
            (NAME, false) => "from a to z",
            (NAME, true) => "from z to a",
            (_, false) => "the most first",
            (_, true) => "the least first",
        };
        let column = COLUMNS[self.sort].name;
        // On 80 columns all of it is seen, and of a longer language how to leave.
        format!("q quit  <> column  r reverse  space pause  sorted by {column}, {way}")
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let columns = fitting(area.width, self.sort);
        let aligned = |at: usize, text: String| {
            let line = Line::from(text);
            Cell::from(Text::from(if at == NAME { line } else { line.right_aligned() }))
        };
        let heads = columns.iter().map(|&at| {
            let style = if at == self.sort { Modifier::REVERSED } else { Modifier::BOLD };
            aligned(at, COLUMNS[at].name.to_owned()).style(Style::new().add_modifier(style))
        });
        let rows = self.zones.iter().map(|used| {
            Row::new(columns.iter().map(|&at| aligned(at, (COLUMNS[at].cell)(used))).collect::<Vec<_>>())
        });
        let widths = columns.iter().map(|&at| match at {
            NAME => Constraint::Min(COLUMNS[NAME].width),
            at => Constraint::Length(COLUMNS[at].width),
        });
        let table = Table::new(rows, widths)
            .header(Row::new(heads.collect::<Vec<_>>()))
            .column_spacing(GAP)
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut self.table);
    }
}

/// How far a page goes.
const PAGE: u16 = 10;

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn used(zone: &str, cpu: f64, memory: u64) -> Used {
        Used {
            zone: zone.to_owned(),
            cpu_percent: Some(cpu),
            memory_bytes: Some(memory),
            memory_limit: None,
            swap_bytes: None,
            lwps: Some(3),
            lwps_limit: None,
            waits_percent: [("cpu".to_owned(), 12.5)].into(),
        }
    }

    /// The lines of a screen of this size.
    fn lines(view: &mut View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    fn press(view: &mut View, code: KeyCode) -> bool {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn view() -> View {
        let mut view = View::default();
        let zones = vec![used("a", 1.0, 5 << 20), used("b", 99.5, 1 << 20), used("c", 50.0, 9 << 20)];
        view.take(Report { time: "now".to_owned(), zones });
        view
    }

    fn names(view: &View) -> String {
        view.zones.iter().map(|used| used.zone.as_str()).collect()
    }

    #[test]
    fn what_a_screen_has_no_room_for_goes_by_its_worth() {
        let mut view = view();
        let wide = lines(&mut view, 200, 10);
        assert_eq!(wide[0], "now  3 zones are up");
        for name in COLUMNS.iter().map(|column| column.name) {
            assert!(wide[1].contains(name), "{wide:#?}");
        }
        assert!(
            wide[2].starts_with("b ") && wide[2].contains("99.5") && wide[2].contains("1.00 MiB"),
            "{wide:#?}"
        );
        assert!(wide[9].contains("sorted by %CPU, the most first"), "{wide:#?}");
        let narrow = lines(&mut view, 80, 10);
        assert!(narrow[1].contains("%WAIT-CPU") && !narrow[1].contains("SWAP"), "{narrow:#?}");
        assert!(narrow.iter().all(|line| line.chars().count() <= 80), "{narrow:#?}");
        // Never nothing, and never a panic.
        for (width, height) in [(1, 1), (5, 2), (13, 3), (300, 1)] {
            lines(&mut view, width, height);
        }
    }

    #[test]
    fn keys_sort_and_leave() {
        let mut view = view();
        assert_eq!(names(&view), "bca");
        assert!(!press(&mut view, KeyCode::Right), "it stays");
        assert_eq!(names(&view), "cab", "by memory");
        assert!(!press(&mut view, KeyCode::Char('r')));
        assert_eq!(names(&view), "bac");
        press(&mut view, KeyCode::Char('<'));
        press(&mut view, KeyCode::Char('<'));
        press(&mut view, KeyCode::Char('r'));
        assert_eq!((names(&view).as_str(), view.sort), ("abc", NAME));
        press(&mut view, KeyCode::Char('<'));
        assert_eq!(view.sort, COLUMNS.len() - 1);
        assert!(press(&mut view, KeyCode::Char('q')) && press(&mut view, KeyCode::Esc));
        assert!(view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!press(&mut view, KeyCode::Char('c')));
    }

    #[test]
    fn a_pause_lasts_until_the_same_key() {
        let mut view = view();
        assert!(!press(&mut view, KeyCode::Char(' ')) && view.is_paused());
        assert!(lines(&mut view, 80, 5)[4].contains("paused"));
        assert!(!press(&mut view, KeyCode::Char('p')) && !view.is_paused());
    }

    #[test]
    fn a_zone_that_was_chosen_stays_chosen() {
        let mut view = view();
        press(&mut view, KeyCode::Down);
        assert_eq!(view.table.selected().map(|at| view.zones[at].zone.as_str()), Some("b"));
        let zones = vec![used("b", 1.0, 1), used("c", 50.0, 1)];
        view.take(Report { time: "then".to_owned(), zones });
        assert_eq!(view.table.selected().map(|at| view.zones[at].zone.as_str()), Some("b"));
        view.take(Report { time: "later".to_owned(), zones: Vec::new() });
        assert_eq!(view.table.selected(), None);
        assert!(lines(&mut view, 80, 5)[0].contains("no zone is up"));
    }
}
