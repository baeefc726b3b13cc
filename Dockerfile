# The program on CPUs. Build: docker build --tag tail-quality .
# Run: docker run --rm --shm-size 2g --volume tail-quality:/home/measure tail-quality +sweep=quick
FROM python:3.11-slim
ARG FRAMEWORKS="torch torchvision --index-url https://download.pytorch.org/whl/cpu"
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
COPY . /source
RUN pip install $FRAMEWORKS
RUN pip install --constraint /source/requirements/constraints.txt "/source[vision]" \
 && pip install --no-deps --require-hashes --requirement /source/requirements/assets.txt
RUN useradd --create-home measure
USER measure
WORKDIR /home/measure
ENTRYPOINT ["orchestrator"]
CMD ["--help"]
