# Built from a patched copy of the module; its manifests (CRDs, roles) are kept beside the programs.
programs="argo argoexec workflow-controller"
package() { echo "github.com/argoproj/argo-workflows/v4/cmd/$1"; }
tags=kubernetes_protomessage_one_more_release
ldflags="-X github.com/argoproj/argo-workflows/v4.version=v4.0.2"

prepare() { # WORK_DIR
    local module=github.com/argoproj/argo-workflows/v4 copy=$1/source original
    go mod download $module # verified against go.sum here; a replaced module is not
    original=$(go list -m -f '{{.Dir}}' $module)
    cp -r "$original" "$copy" && chmod -R u+w "$copy"
    # A module archive has no symbolic links: without this one "undefined: Setpgid".
    cp "$copy/workflow/executor/osspecific/signal_darwin.go" "$copy/workflow/executor/osspecific/signal_linux.go"
    # go:embed wants a page in the place of the user interface that the server would show.
    mkdir -p "$copy/ui/dist/app" && echo '<html></html>' >"$copy/ui/dist/app/index.html"
    # The health port is fixed to all interfaces.
    sed -i 's/":6060"/"127.0.0.1:6060"/' "$copy/cmd/workflow-controller/main.go"
    grep -q '"127.0.0.1:6060"' "$copy/cmd/workflow-controller/main.go"
    go mod edit -replace "$module=$copy" "$1/go.mod"
    [ -d "$target_dir/manifests" ] || mv "$copy/manifests" "$target_dir/manifests"
}
