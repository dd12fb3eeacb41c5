# The stages (what happens to a simulated pod, and when) are kept beside the program.
programs="kwok"
package() { echo sigs.k8s.io/kwok/cmd/kwok; }

prepare() { # WORK_DIR
    local module=sigs.k8s.io/kwok
    go mod download $module
    [ ! -d "$target_dir/stages" ] || return 0
    cp -r "$(go list -m -f '{{.Dir}}' $module)/kustomize/stage" "$1/stages"
    chmod -R u+w "$1/stages" && mv "$1/stages" "$target_dir/stages"
}
