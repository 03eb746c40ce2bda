// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// HandlerPanic is the value with which ServeWith panics when a handler has panicked
// on another goroutine than that which called ServeWith.
type HandlerPanic struct {
	Value any    // with which the handler panicked
	Stack []byte // of its goroutine
}

// Error returns the value and the stack.
func (p *HandlerPanic) Error() string {
	return fmt.Sprintf("dx: a handler panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *HandlerPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// pool is what the goroutines of one ServeWith share. All of them end together, and
// ServeWith ends after them, so that none is left that uses the region.
type pool struct {
	ch         *Channel
	servers    []*server // the first one runs on the goroutine of ServeWith
	ended      atomic.Bool
	others     sync.WaitGroup
	watch      watch
	concurrent *concurrency

	mu       sync.Mutex
	reason   error // of the worker that ended first
	panicked *HandlerPanic
	exited   bool // a handler called runtime.Goexit
}

// end tells all workers to end. It may be called again, by any goroutine.
func (p *pool) end() {
	p.ended.Store(true)
	for _, s := range p.servers {
		p.ch.raw.Ring(s.cell)
	}
}

func (p *pool) close() {
	p.endWatch()
	for _, s := range p.servers {
		s.bell.close()
	}
}

// serve runs all workers to their end. It ends as the first of them did.
func (p *pool) serve() error {
	defer p.wait()
	for _, s := range p.servers[1:] {
		p.others.Go(func() { p.work(s, true) })
	}
	// The only one leaves a panic alone, so that its stack is what people see.
	p.work(p.servers[0], len(p.servers) > 1)
	p.wait()
	p.raise()
	return p.reason
}

// wait returns when all workers have ended, and all handlers.
func (p *pool) wait() {
	p.others.Wait()
	p.mu.Lock()
	why := p.reason
	p.mu.Unlock()
	if why == nil { // a handler has panicked
		why = ErrStopped
	}
	p.concurrent.end(why)
	for _, s := range p.servers {
		s.settle() // which counts
	}
}

// raise goes on with what a handler did, on the goroutine of ServeWith.
func (p *pool) raise() {
	if p.panicked != nil {
		panic(p.panicked)
	}
	if p.exited {
		runtime.Goexit()
	}
}

// work runs one worker to its end, however that comes, and takes the others along.
func (p *pool) work(s *server, catches bool) {
	var err error = ErrStopped
	returned := false
	defer func() {
		if !returned {
			s.lose()
			if catches {
				p.handlerLeft(recover(), true)
			}
		}
		p.end()
		s.endStreams(err)
	}()
	err = s.run()
	returned = true
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason == nil {
		p.reason = err
	}
}

// handlerLeft takes note of how a handler left, on its goroutine, from the function
// that its end has run: value is what recover returned.
func (p *pool) handlerLeft(value any, exits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case value == nil:
		p.exited = p.exited || exits
	case p.panicked == nil:
		p.panicked = &HandlerPanic{Value: value, Stack: debug.Stack()}
	}
}
