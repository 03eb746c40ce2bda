// SPDX-License-Identifier: Apache-2.0

package dx_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// inner is the package whose raw pointers and C types users must not see.
const inner = "libdx"

// api is what users of a package can see of it, and which types of its own that leads to.
type api struct {
	types map[string]*ast.TypeSpec
	funcs []*ast.FuncDecl
	seen  map[string]bool
	found []string
}

// look notes each name of package libdx in what users see of a declaration.
func (a *api) look(where string, visible ast.Node) {
	ast.Inspect(visible, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			a.lookAtFunc(where, n)
			return false
		case *ast.Field:
			// Of an embedded field, users see the methods and fields.
			return len(n.Names) == 0 || n.Names[0].IsExported()
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == inner {
				a.found = append(a.found, where+": "+inner+"."+n.Sel.Name)
			}
			return false
		case *ast.Ident:
			a.lookAtType(n.Name)
		}
		return true
	})
}

func (a *api) lookAtType(name string) {
	spec := a.types[name]
	if spec == nil || a.seen[name] {
		return
	}
	a.seen[name] = true
	a.look(name, spec.Type)
	for _, f := range a.funcs {
		if f.Recv != nil && f.Name.IsExported() && receiver(f) == name {
			a.lookAtFunc(name+"."+f.Name.Name, f.Type)
		}
	}
}

// lookAtFunc looks at all types, since parameters are visible whatever they are called.
func (a *api) lookAtFunc(where string, f *ast.FuncType) {
	for _, list := range []*ast.FieldList{f.TypeParams, f.Params, f.Results} {
		if list != nil {
			for _, field := range list.List {
				a.look(where, field.Type)
			}
		}
	}
}

func receiver(f *ast.FuncDecl) string {
	e := f.Recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		default:
			return e.(*ast.Ident).Name
		}
	}
}

// lookAtValue looks at the type of a variable or constant, or else at what tells it.
func (a *api) lookAtValue(v *ast.ValueSpec) {
	for i, name := range v.Names {
		switch {
		case !name.IsExported():
		case v.Type != nil:
			a.look(name.Name, v.Type)
		case i < len(v.Values):
			value := v.Values[i]
			if call, ok := value.(*ast.CallExpr); ok {
				value = call.Fun // its result
				for _, f := range a.funcs {
					if fun, ok := value.(*ast.Ident); ok && f.Recv == nil && f.Name.Name == fun.Name {
						a.lookAtFunc(name.Name, &ast.FuncType{Results: f.Type.Results})
					}
				}
			}
			a.look(name.Name, value)
		}
	}
}

// namesOf returns where the API of a package, from its sources, names package libdx.
func namesOf(files []*ast.File) []string {
	a := api{types: map[string]*ast.TypeSpec{}, seen: map[string]bool{}}
	var values []*ast.ValueSpec
	for _, file := range files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				a.funcs = append(a.funcs, d)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						a.types[s.Name.Name] = s
					case *ast.ValueSpec:
						values = append(values, s)
					}
				}
			}
		}
	}
	for name := range a.types {
		if ast.IsExported(name) {
			a.lookAtType(name)
		}
	}
	for _, f := range a.funcs {
		if f.Recv == nil && f.Name.IsExported() {
			a.lookAtFunc(f.Name.Name, f.Type)
		}
	}
	for _, v := range values {
		a.lookAtValue(v)
	}
	return a.found
}

func TestUsersSeeNothingOfTheInnerPackage(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for _, name := range namesOf(files) {
		t.Error(name)
	}
}

func TestWhatUsersSeeOfTheInnerPackageIsFound(t *testing.T) {
	for text, want := range map[string]int{
		"type Error = libdx.Error":                                        1,
		"type T struct { Raw libdx.Wait; inner libdx.Channel }":           1,
		"type T struct { libdx.Caller }":                                  1,
		"type T struct{}; func (t *T) M() (libdx.Wait, error)":            1,
		"func F(w *libdx.Wait)":                                           1,
		"type T = t; type t = libdx.Stats":                                1,
		"type t struct{ F libdx.Stats }; func F() t":                      1,
		"type I interface { M(raw []libdx.Channel) }":                     1,
		"var V = libdx.Status(0)":                                         1,
		"var V = f(libdx.OK); func f(s libdx.Status) *T; type T struct{}": 0,
		"var V = f(); func f() libdx.Status":                              1,
		"const C uint32 = libdx.TypePing":                                 0,
		"type t struct{ F libdx.Stats }; func f() libdx.Stats":            0,
		"type T struct{}; func (t T) m() libdx.Stats":                     0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := namesOf([]*ast.File{file}); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}
