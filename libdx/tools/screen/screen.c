/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx top on a terminal, drawn by ncurses. Signals that end it come through a descriptor, so that
 * the terminal is restored however it ends. It works without colours: what they say is in the text.
 */
#include <errno.h>
#include <inttypes.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../clock.h"
#include "../../fd_wait.h"
#include "../signals.h"
#include "../tool.h"
#include "../top.h"

#define EVERY_MIN_NS 100000000ll
#define EVERY_MAX_NS 3600000000000ll
#define ROWS_MIN 4
/* Line 0 is the title, line 1 the head of the table; the last line has the keys. */
#define FIRST_ROW 2
#define EMPTY_MAX 100

struct screen {
    struct top *top;
    int64_t every_ns;
    size_t chosen; /* region */
    size_t scroll; /* first line that is shown */
    bool follow;   /* the chosen region is to be in view */
    bool slots;
    bool keys;
    int empty;        /* times in a row that there was no key where one was to be read */
    const char *note; /* what is wrong; NULL: nothing */
};

static const char *const help[] = {
    "q, Ctrl-C   end",
    "s           show the slots of the chosen region, or hide them",
    "Up, Down    choose a region (also k, j)",
    "PgUp, PgDn  scroll",
    "o           change the order: rate, errors, parks, url",
    "+, -        look more often, less often",
    "?           hide this",
};

static void begin_colours(void)
{
    if (!has_colors() || getenv("NO_COLOR") != NULL)
        return;
    (void)start_color();
    (void)use_default_colors();
    (void)init_pair(TOP_REGION, COLOR_CYAN, -1);
    (void)init_pair(TOP_DEAD, COLOR_RED, -1);
    (void)init_pair(TOP_BUSY, COLOR_GREEN, -1);
}

static attr_t attribute_of(const struct screen *s, const struct top_line *line)
{
    attr_t attribute = line->style == TOP_HEAD     ? A_UNDERLINE
                       : line->style == TOP_REGION ? A_BOLD
                                                   : A_NORMAL;
    bool coloured = line->style == TOP_REGION || line->style == TOP_DEAD || line->style == TOP_BUSY;
    if (coloured && has_colors() && getenv("NO_COLOR") == NULL)
        attribute |= (attr_t)COLOR_PAIR(line->style);
    if (line->style == TOP_REGION && line->region == s->chosen && s->top->count > 1)
        attribute |= A_REVERSE;
    return attribute;
}

static void put(int row, attr_t attribute, const char *text)
{
    (void)move(row, 0);
    (void)clrtoeol();
    (void)attrset(attribute);
    (void)addnstr(text, COLS);
    (void)attrset(A_NORMAL);
}

static void draw_title(const struct screen *s)
{
    char text[160 + DX_NOTICE_BYTES];
    char clock[16] = "";
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local) != NULL)
        (void)strftime(clock, sizeof clock, "%H:%M:%S", &local);
    (void)snprintf(text, sizeof text, "dx top: %zu region%s, by %s, every %.3g s, %s%s%s",
                   s->top->count, s->top->count == 1 ? "" : "s", top_order_name(s->top->order),
                   (double)s->every_ns / 1e9, clock, s->note != NULL ? "  " : "",
                   s->note != NULL ? s->note : "");
    put(0, A_NORMAL, text);
    put(1, A_REVERSE, top_head);
}

/* Lines of the table that fit. */
static size_t rows(void)
{
    return LINES > ROWS_MIN ? (size_t)LINES - FIRST_ROW - 1 : 1;
}

/* So that the chosen region is in view, and nothing empty below the last line. */
static void settle_scroll(struct screen *s, const struct top_lines *lines)
{
    if (s->follow) {
        size_t first = 0;
        while (first < lines->count && lines->items[first].region != s->chosen)
            first++;
        size_t last = first;
        while (last + 1 < lines->count && lines->items[last + 1].region == s->chosen)
            last++;
        if (last >= s->scroll + rows())
            s->scroll = last + 1 - rows();
        if (first < s->scroll || last - first >= rows())
            s->scroll = first;
    }
    if (s->scroll + rows() > lines->count)
        s->scroll = lines->count > rows() ? lines->count - rows() : 0;
}

static void draw_table(struct screen *s)
{
    struct top_lines lines;
    if (s->chosen >= s->top->count)
        s->chosen = s->top->count > 0 ? s->top->count - 1 : 0;
    if (!top_lines_make(s->top, s->slots ? s->chosen : TOP_NO_SLOTS, &lines)) {
        s->note = "no memory";
        return;
    }
    settle_scroll(s, &lines);
    for (size_t row = 0; row < rows(); row++) {
        size_t at = s->scroll + row;
        if (at < lines.count)
            put(FIRST_ROW + (int)row, attribute_of(s, &lines.items[at]), lines.items[at].text);
        else
            put(FIRST_ROW + (int)row, A_NORMAL, at == 0 ? "no region of this user was found" : "");
    }
    top_lines_free(&lines);
}

static void draw_help(void)
{
    for (size_t row = 0; row < rows(); row++)
        put(FIRST_ROW + (int)row, A_NORMAL, row < sizeof help / sizeof *help ? help[row] : "");
}

static void draw(struct screen *s)
{
    (void)erase();
    if (s->keys)
        draw_help();
    else
        draw_table(s);
    draw_title(s);
    put(LINES - 1, A_REVERSE,
        "q end  s slots  Up/Down choose  PgUp/PgDn scroll  o order  +/- pace  ? keys");
    (void)refresh();
}

/* The new order is that of the last look; the region stays chosen. */
static void change_order(struct screen *s)
{
    struct top *t = s->top;
    const struct top_region *chosen = s->chosen < t->count ? t->regions[s->chosen] : NULL;
    t->order = (t->order + 1) % TOP_ORDERS;
    top_sort(t);
    for (size_t i = 0; i < t->count; i++)
        if (t->regions[i] == chosen)
            s->chosen = i;
    s->follow = true;
}

static void change_pace(struct screen *s, bool faster)
{
    s->every_ns = faster ? s->every_ns / 2 : s->every_ns * 2;
    s->every_ns = s->every_ns < EVERY_MIN_NS   ? EVERY_MIN_NS
                  : s->every_ns > EVERY_MAX_NS ? EVERY_MAX_NS
                                               : s->every_ns;
}

/* Keys that choose and scroll. */
static void move_by(struct screen *s, int key)
{
    s->follow = key != KEY_PPAGE && key != KEY_NPAGE;
    if (key == KEY_UP || key == 'k')
        s->chosen -= s->chosen > 0;
    else if (key == KEY_DOWN || key == 'j')
        s->chosen += s->chosen + 1 < s->top->count;
    else if (key == KEY_PPAGE)
        s->scroll -= s->scroll < rows() ? s->scroll : rows();
    else
        s->scroll += rows();
}

/* False: end. */
static bool obey(struct screen *s, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case 's':
        s->slots = s->top->want_slots = !s->slots;
        s->follow = true;
        break;
    case KEY_UP:
    case 'k':
    case KEY_DOWN:
    case 'j':
    case KEY_PPAGE:
    case KEY_NPAGE:
        move_by(s, key);
        break;
    case 'o':
        change_order(s);
        break;
    case '+':
    case '-':
        change_pace(s, key == '+');
        break;
    case '?':
    case 'h':
        s->keys = !s->keys;
        break;
    default: /* KEY_RESIZE, too: all is drawn anew */
        break;
    }
    return true;
}

/* The region that was chosen may have another index after a look. */
static void look(struct screen *s)
{
    char *url = NULL;
    if (s->chosen < s->top->count)
        url = strdup(s->top->regions[s->chosen]->url);
    bool read = top_look(s->top);
    s->note = !read ? "not all could be read" : s->top->problem[0] != '\0' ? s->top->problem : NULL;
    for (size_t i = 0; url != NULL && i < s->top->count; i++)
        if (strcmp(s->top->regions[i]->url, url) == 0) {
            s->chosen = i;
            break;
        }
    free(url);
}

/* Keys that are there. False: end. */
static bool obey_all(struct screen *s, bool readable)
{
    int key;
    int keys = 0;
    for (; (key = getch()) != ERR; keys++)
        if (!obey(s, key))
            return false;
    /* A terminal that is gone is always readable, and has no keys. */
    s->empty = readable && keys == 0 ? s->empty + 1 : 0;
    return s->empty < EMPTY_MAX;
}

/* Draws, and waits for keys, signals and the time of the next look. */
static void run(struct screen *s, int signals)
{
    int64_t next_ns = dx_clock_ns() + s->every_ns;
    for (;;) {
        struct pollfd waits[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                  {.fd = signals, .events = POLLIN}};
        int64_t every_ns = s->every_ns;
        draw(s);
        int64_t left_ns = next_ns - dx_clock_ns();
        if (left_ns > 0)
            (void)dx_fd_wait(waits, 2, left_ns);
        if (!obey_all(s, waits[0].revents != 0) || waits[1].revents != 0)
            return;
        if (s->every_ns != every_ns)
            next_ns = dx_clock_ns() + s->every_ns;
        if (dx_clock_ns() < next_ns)
            continue;
        look(s);
        next_ns = dx_clock_ns() + s->every_ns;
    }
}

/* Can the cursor be put anywhere? */
static bool can_draw(void)
{
    char name[] = "cup";
    const char *capability = tigetstr(name);
    return capability != NULL && (intptr_t)capability != -1;
}

int top_screen_run(struct top *t, int64_t every_ns)
{
    struct screen s = {.top = t, .every_ns = every_ns, .follow = true, .slots = t->want_slots};
    int signals = signals_take(true);
    if (signals < 0) {
        (void)fprintf(stderr, "dx top: signals cannot be waited for: %s\n", strerror(errno));
        return TOOL_FAILED;
    }
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    bool drawing = terminal != NULL && can_draw();
    if (drawing) {
        (void)cbreak();
        (void)noecho();
        (void)keypad(stdscr, TRUE);
        (void)nodelay(stdscr, TRUE);
        (void)curs_set(0);
        begin_colours();
        run(&s, signals);
    }
    if (terminal != NULL) {
        (void)endwin();
        delscreen(terminal);
    }
    (void)close(signals);
    if (drawing)
        return TOOL_OK;
    const char *name = getenv("TERM");
    (void)fprintf(stderr,
                  "dx top: the terminal cannot be used (TERM is %s); -once and -json need none\n",
                  name != NULL ? name : "not set");
    return TOOL_FAILED;
}
